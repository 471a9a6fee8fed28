//! Answers in the author's own words.
//!
//! In: a question and the passages that were found for it. Out: those of their sentences, list items, rows of tables and
//! lines of code that answer it best, as they stand, each with the marker of its passage ([`Quoted`]).
//!
//! A passage is read as spans (`spans`), each with what it can not be understood without (`units`). A unit is judged by how
//! near its vector, under its heading, is to the question's, made by the embedding model that found the passages; by the
//! share of the question's words in it, the rarer the more (`terms`); and by how near its whole passage is. The best that
//! are not alike are taken (`select`) and written in reading order (`render`).
//!
//! Promises: every line is verbatim in the passage whose marker ends its quotation, but for the fence around code; the same
//! question and passages give the same text; the time is bounded, since no more than [`CANDIDATES`] units and
//! [`CANDIDATE_CHARS`] characters are embedded. A language model is not asked.
//!
//! Deliberately not here: whether the passages are near enough (`answer`), and earlier turns of the conversation: they are
//! no part of the search either.

mod lines;
mod render;
mod select;
mod spans;
pub(crate) mod terms;
#[cfg(test)]
mod tests;
mod units;

use std::collections::HashSet;
use std::panic::resume_unwind;

use twin_embedding::Error;
use twin_schemas::Passage;

use crate::retrieve::Retrieved;
use render::render;
use select::{Candidate, dot, select};
use spans::{Span, spans};
use terms::{Terms, stems};
use units::{Spanned, Unit, units};

/// Characters of an answer, about.
const ANSWER_CHARS: usize = 700;

/// Of a token of English, characters: so a limit of tokens bounds an answer that has none.
const TOKEN_CHARS: usize = 4;

/// Units that are embedded for a question, at most.
const CANDIDATES: usize = 64;

/// Characters that are embedded for a question, at most: some six hundred tokens, less than a fifth of a second of one core.
/// Embedding all that is found, about twice as much, answers none more of the questions in `tests/quotes/questions.rs`.
const CANDIDATE_CHARS: usize = 2_000;

/// What the words that a unit shares with the question count, beside the cosine similarity of the two. This and the next two
/// are what most questions of `tests/quotes/questions.rs` are answered with; half or twice of one costs one to five of 89.
const WORDS_WEIGHT: f32 = 0.3;

/// Of that, what words of its heading count.
const HEADING_SHARE: f32 = 0.5;

/// What the similarity of the whole passage counts.
const PASSAGE_WEIGHT: f32 = 0.3;

/// An answer that is quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    /// What is quoted, in reading order. Empty: nothing in the passages can be.
    pub quotations: Vec<Quotation>,
    /// The limit of tokens left something out.
    pub is_cut: bool,
}

/// Parts of a passage that stand together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotation {
    /// The marker of the passage, from 1.
    pub marker: u32,
    /// The text with its marker; before it, of all but the first, the blank line that parts it from the one before.
    pub text: String,
}

impl Quoted {
    /// The whole text.
    pub fn text(&self) -> String {
        self.quotations.iter().map(|quotation| quotation.text.as_str()).collect()
    }

    /// The markers of the passages that are quoted, each once.
    pub fn cited(&self) -> Vec<u32> {
        let is_cited = |quotation: &&Quotation| quotation.text.ends_with(&format!("[{}]", quotation.marker));
        let mut cited: Vec<u32> = self.quotations.iter().filter(is_cited).map(|quotation| quotation.marker).collect();
        cited.sort_unstable();
        cited.dedup();
        cited
    }

    /// What stands before the first of these texts, by which a request can end an answer.
    pub(crate) fn until(mut self, stops: &[String]) -> Self {
        let text = self.text();
        let Some(mut left) = stops.iter().filter_map(|stop| text.find(stop)).min() else { return self };
        for quotation in &mut self.quotations {
            let kept = left.min(quotation.text.len());
            quotation.text.truncate(kept);
            left -= kept;
        }
        self.quotations.retain(|quotation| !quotation.text.is_empty());
        self
    }
}

/// Quotes what answers the question best. A limit of `max_tokens` is kept as far as whole sentences allow: at four
/// characters a token, and never below the one best quotation.
pub async fn quote(question: &str, found: &Retrieved, max_tokens: Option<u32>) -> Result<Quoted, Error> {
    let (question, passages) = (question.to_owned(), found.passages.clone());
    let reading = off_the_runtime(move || Reading::new(&question, passages)).await?;
    let vectors = found.embedder.embed_candidates(reading.texts()).await?;
    let vector = found.question.clone();
    off_the_runtime(move || reading.quoted(&vector, &vectors, max_tokens)).await
}

/// Runs what takes longer than a task may on a thread for such work.
async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        // The process ends before the work began.
        Err(_) => Err(Error::Closed),
    }
}

/// Passages as they were read for a question.
struct Reading {
    passages: Vec<Passage>,
    spans: Vec<Span>,
    /// Those that are judged by their vectors, too.
    shortlist: Vec<Shortlisted>,
}

struct Shortlisted {
    unit: Unit,
    stems: HashSet<String>,
    /// What is known of it without its vector.
    prior: f32,
}

impl Reading {
    fn new(question: &str, passages: Vec<Passage>) -> Self {
        let spans = spans(&passages);
        let units = units(&Spanned { passages: &passages, spans: &spans });
        let words: Vec<HashSet<String>> = units.iter().map(|unit| stems(&unit.reading)).collect();
        let terms = Terms::new(question, &words);
        let mut shortlist: Vec<Shortlisted> = Vec::with_capacity(units.len());
        for (unit, stems) in units.into_iter().zip(words) {
            let similarity = passages[spans[unit.about].passage].score;
            let share = terms.share(&stems) + HEADING_SHARE * terms.share(&terms::stems(&unit.heading));
            let prior = WORDS_WEIGHT * share.min(1.0) + PASSAGE_WEIGHT * similarity;
            shortlist.push(Shortlisted { unit, stems, prior });
        }
        shortlist.sort_by(|a, b| b.prior.total_cmp(&a.prior).then(a.unit.about.cmp(&b.unit.about)));
        shortlist.truncate(CANDIDATES);
        let mut chars = 0;
        let fits = |one: &Shortlisted| {
            chars += one.unit.heading.chars().count() + one.unit.reading.chars().count();
            chars <= CANDIDATE_CHARS
        };
        let fitting = shortlist.iter().map(fits).take_while(|fits| *fits).count();
        shortlist.truncate(fitting.max(1));
        Self { passages, spans, shortlist }
    }

    /// What is to be embedded.
    fn texts(&self) -> Vec<String> {
        self.shortlist.iter().map(|one| one.unit.in_context()).collect()
    }

    fn quoted(&self, question: &[f32], vectors: &[Vec<f32>], max_tokens: Option<u32>) -> Quoted {
        let spanned = Spanned { passages: &self.passages, spans: &self.spans };
        let judged = self.shortlist.iter().zip(vectors).map(|(one, vector)| {
            let score = dot(question, vector) + one.prior;
            Candidate { unit: &one.unit, score, vector, stems: &one.stems }
        });
        let candidates: Vec<Candidate<'_>> = judged.collect();
        let whole = select(&spanned, &candidates, ANSWER_CHARS);
        let limit = max_tokens.map_or(ANSWER_CHARS, |tokens| ANSWER_CHARS.min(tokens as usize * TOKEN_CHARS));
        let within_limit = select(&spanned, &candidates, limit);
        Quoted { quotations: render(&spanned, &within_limit), is_cut: within_limit != whole }
    }
}
