//! Asks all questions of a calibration, one after the other.

use std::time::Instant;

use chrono::Utc;
use twin_schemas::{AuthorId, DocumentId};
use twin_warehouse::Calibration;

use super::choice::{Choice, LEAST_QUESTIONS, Scores, refusals};
use super::questions::{Made, questions};
use crate::retrieve::{Error, Retriever};

/// Questions that are made of an author's texts, at most.
const QUESTIONS: usize = 200;

/// The same where the index still grows: half of them choose a threshold that few of the others are lost by.
const HASTY_QUESTIONS: usize = 100;

/// Of the general questions, every so many is asked then.
const HASTY_GENERAL: usize = 3;

/// Chunks for each question: not of each one can be made.
const SAMPLE: f64 = 1.5;

/// Questions that nobody's notes on one field answer, one a line, in several languages.
const GENERAL: &str = include_str!("general.txt");

/// How many questions are asked, and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    questions: usize,
    general: usize,
    pauses: u32,
}

impl Pace {
    /// While the author's texts still come in and the shipped threshold holds.
    pub(super) fn hasty() -> Self {
        Self { questions: HASTY_QUESTIONS, general: HASTY_GENERAL, pauses: 0 }
    }

    /// Where the shipped threshold holds: somebody may wait for a better one.
    pub(super) fn first() -> Self {
        Self { questions: QUESTIONS, general: 1, pauses: 0 }
    }

    /// Where a threshold is known: with a pause so many times as long as a question took after it.
    pub(super) fn again(pauses: u32) -> Self {
        Self { pauses, ..Self::first() }
    }
}

/// Measures what is found for an author who has so many chunks. None: the index went over to another generation meanwhile,
/// whose scores are others, or it still grows and no threshold could be chosen yet.
pub(super) async fn measure(
    retriever: &Retriever,
    author: &AuthorId,
    chunks: u64,
    pace: Pace,
) -> Result<Option<Calibration>, Error> {
    let generation = retriever.generation();
    let sample = (SAMPLE * pace.questions as f64) as usize;
    let mut made = questions(&retriever.sample(author, sample).await?);
    made.truncate(pace.questions);
    if pace == Pace::hasty() && made.len() < LEAST_QUESTIONS {
        return Ok(None);
    }
    let mut scores = Scores::default();
    for Made { question, document } in &made {
        let (there, left_out) = judge(retriever, author, question, Some(*document), pace.pauses).await?;
        scores.answerable.push(there);
        scores.left_out.extend(left_out);
    }
    if made.len() >= LEAST_QUESTIONS {
        for question in general().step_by(pace.general) {
            // What the author has written down word for word is on no other field.
            if retriever.holds(author, question).await? {
                continue;
            }
            scores.general.push(judge(retriever, author, question, None, pace.pauses).await?.0);
        }
    }
    if retriever.generation() != generation {
        return Ok(None);
    }
    let Choice { threshold, basis, others } = scores.choose();
    Ok(Some(Calibration {
        author: author.clone(),
        generation: generation.number,
        model: generation.model.id.to_string(),
        chunks,
        threshold,
        basis,
        answerable: refusals(&others.answerable, threshold),
        left_out: refusals(&others.left_out, threshold),
        general: refusals(&others.general, threshold),
        measured_at: Utc::now(),
    }))
}

/// The score of a question, and without a document. Then it pauses.
async fn judge(
    retriever: &Retriever,
    author: &AuthorId,
    question: &str,
    without: Option<DocumentId>,
    pauses: u32,
) -> Result<(f32, Option<f32>), Error> {
    let began = Instant::now();
    let (there, left_out) = retriever.judge(author, question, without).await?;
    tokio::time::sleep(began.elapsed().saturating_mul(pauses)).await;
    Ok((there.score(), left_out.map(|evidence| evidence.score())))
}

fn general() -> impl Iterator<Item = &'static str> {
    GENERAL.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn three_hundred_general_questions_are_shipped_each_once() {
        let all: Vec<&str> = general().collect();
        let distinct: HashSet<String> = all.iter().map(|question| question.to_lowercase()).collect();
        assert_eq!((all.len(), distinct.len()), (300, 300));
        assert!(all.iter().all(|question| (10..=120).contains(&question.chars().count())), "{all:?}");
    }
}
