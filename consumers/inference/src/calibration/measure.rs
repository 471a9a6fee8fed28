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

/// Chunks that they are made of: not of each one can be made.
const SAMPLE: usize = 300;

/// Questions that nobody's notes on one field answer, one a line, in several languages.
const GENERAL: &str = include_str!("general.txt");

/// Measures what is found for an author who has so many chunks. None: the index went over to another generation meanwhile,
/// whose scores are others.
pub(super) async fn measure(
    retriever: &Retriever,
    author: &AuthorId,
    chunks: u64,
    pauses: u32,
) -> Result<Option<Calibration>, Error> {
    let generation = retriever.generation();
    let mut made = questions(&retriever.sample(author, SAMPLE).await?);
    made.truncate(QUESTIONS);
    let mut scores = Scores::default();
    for Made { question, document } in &made {
        let (there, left_out) = judge(retriever, author, question, Some(*document), pauses).await?;
        scores.answerable.push(there);
        scores.left_out.extend(left_out);
    }
    if made.len() >= LEAST_QUESTIONS {
        for question in general() {
            // What the author has written down word for word is on no other field.
            if retriever.holds(author, question).await? {
                continue;
            }
            scores.general.push(judge(retriever, author, question, None, pauses).await?.0);
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
