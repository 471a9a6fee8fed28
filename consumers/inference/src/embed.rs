//! Vectors of texts, as the index's embedding model makes them.
//!
//! They are those of the index: of a text to be found, the vector that a chunk with this text has there; of a question, the
//! one that passages are searched with. A text that the model's window has no room for is refused and not cut.

use std::ops::Range;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tracing::warn;
use twin_embedding::{Embedder, Purpose, Texts};
use twin_schemas::{AnswerPart, EmbedQuery, Embedded, EmbeddingInput, FailureKind, StageTimings};
use twin_stream::Error as LogError;

use crate::answer::{Ended, fail, overloaded};
use crate::publisher::Publisher;
use crate::retrieve::{Retriever, milliseconds};
use crate::turns::{NoTurn, Turns, Work};

/// Embeddings worked on at once: one waits for the model while another is being published.
const AT_ONCE: usize = 2;

/// Embeddings that wait. What would be too late for its deadline is refused before.
const WAITING: usize = 64;

/// Texts that are given to the model together, at most. Between two such batches it turns to questions and quotations that wait.
const BATCH: usize = 32;

/// Tokens that the model reads for them, at most, if there is more than one. What waits behind [`AT_ONCE`] such batches waits for
/// about an eighth of a second on two cores.
const BATCH_TOKENS: usize = 512;

/// Numbers in one event, about: some four hundred kilobytes of JSON, which every log takes as it is.
const NUMBERS: usize = 32_768;

/// Why there are no vectors.
type Failure = (FailureKind, String);

/// Answers embeddings.
pub(crate) struct Embeddings {
    retriever: Retriever,
    turns: Turns,
}

impl Embeddings {
    pub(crate) fn new(retriever: Retriever) -> Self {
        Self { retriever, turns: Turns::new(AT_ONCE, WAITING) }
    }

    /// Publishes the vectors, then the end. Dropping the future stops the work on it.
    pub(crate) async fn embed(
        &self,
        query: &EmbedQuery,
        asked_at: DateTime<Utc>,
        publisher: &mut Publisher,
    ) -> Result<Ended, LogError> {
        let queue_ms = (Utc::now() - asked_at).as_seconds_f64().max(0.0) * 1000.0;
        let Some(place) = self.turns.enter(Work::Answer, left(query)) else { return overloaded(publisher).await };
        let turn = match place.turn(left(query)).await {
            Ok(turn) => turn,
            Err(NoTurn::TooLate) => return overloaded(publisher).await,
            Err(NoTurn::Expired) => return expired(publisher).await,
        };
        let began = Instant::now();
        let Ok(embedded) = tokio::time::timeout(left(query), self.vectors(query)).await else {
            turn.used();
            return expired(publisher).await;
        };
        let (model, tokens, vectors) = match embedded {
            Ok(embedded) => embedded,
            Err((kind, message)) => return fail(publisher, kind, message).await,
        };
        turn.used();
        let timings = StageTimings { queue_ms, embed_ms: milliseconds(began), ..StageTimings::default() };
        for part in parts(vectors) {
            publisher.publish(part).await?;
        }
        publisher.publish(AnswerPart::Embedded(Embedded { model, tokens, timings })).await?;
        Ok(Ended::Embedded)
    }

    /// The model's id, how many tokens it read, and the vector of each text.
    async fn vectors(&self, query: &EmbedQuery) -> Result<(String, u64, Vec<Vec<f32>>), Failure> {
        let embedder = self.retriever.embedder().await.map_err(unavailable)?;
        check_model(query, embedder.as_ref())?;
        let purpose = match query.input {
            EmbeddingInput::Query => Purpose::Query,
            // Somebody waits for it, so it goes before what is indexed; the vectors are the same.
            EmbeddingInput::Passage => Purpose::Candidate,
        };
        let counting = embedder.count_tokens(Texts { purpose, texts: query.texts.clone() });
        let counted = counting.await.map_err(failure)?;
        let window = embedder.max_tokens();
        if let Some((index, tokens)) = counted.iter().enumerate().find(|(_, tokens)| **tokens > window) {
            let message = format!(
                "input[{index}] has {tokens} tokens, and the embedding model reads {window}: split it into shorter texts"
            );
            return Err((FailureKind::Invalid, message));
        }
        let mut vectors = Vec::with_capacity(query.texts.len());
        for batch in batches(&counted) {
            let texts = query.texts[batch].to_vec();
            vectors.extend(embedder.embed(Texts { purpose, texts }).await.map_err(failure)?);
        }
        Ok((embedder.model().id.to_string(), counted.iter().sum::<usize>() as u64, vectors))
    }
}

/// Which texts of so many tokens each are given to the model together. It reads all of a batch at the length of the longest.
fn batches(tokens: &[usize]) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut first, mut longest) = (0, 0);
    for (index, own) in tokens.iter().enumerate() {
        let count = index - first;
        let read = longest.max(*own) * (count + 1);
        if count > 0 && (count == BATCH || read > BATCH_TOKENS) {
            batches.push(first..index);
            (first, longest) = (index, 0);
        }
        longest = longest.max(*own);
    }
    if first < tokens.len() {
        batches.push(first..tokens.len());
    }
    batches
}

/// Refuses what is asked of another model, or of vectors of another length.
fn check_model(query: &EmbedQuery, embedder: &dyn Embedder) -> Result<(), Failure> {
    let (id, dimension) = (embedder.model().id.to_string(), embedder.model().dimension);
    let name = id.rsplit_once('@').map_or(id.as_str(), |(name, _)| name);
    let wanted = query.model.as_deref().filter(|wanted| *wanted != id && *wanted != name);
    if let Some(wanted) = wanted {
        let message =
            format!("there is no embedding model {wanted:?} here: model must be {name:?}, or \"twin/<author>\"");
        return Err((FailureKind::Invalid, message));
    }
    match query.dimensions {
        Some(wanted) if wanted as usize != dimension => {
            let message = format!("{name} makes vectors of {dimension} numbers and no others: leave dimensions out");
            Err((FailureKind::Invalid, message))
        }
        _ => Ok(()),
    }
}

/// Vectors as parts of an answer.
fn parts(vectors: Vec<Vec<f32>>) -> Vec<AnswerPart> {
    let dimension = vectors.first().map_or(1, |vector| vector.len().max(1));
    let rows = (NUMBERS / dimension).max(1);
    let mut parts = Vec::with_capacity(vectors.len().div_ceil(rows));
    let mut vectors = vectors.into_iter().peekable();
    let mut first = 0;
    while vectors.peek().is_some() {
        let vectors: Vec<Vec<f32>> = vectors.by_ref().take(rows).collect();
        let next = first + u32::try_from(vectors.len()).unwrap_or(u32::MAX);
        parts.push(AnswerPart::Vectors { first, vectors });
        first = next;
    }
    parts
}

fn left(query: &EmbedQuery) -> Duration {
    (query.deadline - Utc::now()).to_std().unwrap_or_default()
}

async fn expired(publisher: &mut Publisher) -> Result<Ended, LogError> {
    fail(publisher, FailureKind::Expired, "the texts were not embedded before the deadline".to_owned()).await
}

fn unavailable(error: impl std::fmt::Display) -> Failure {
    warn!(%error, "texts could not be embedded");
    (FailureKind::Unavailable, error.to_string())
}

/// A text that the model can not read will fail again.
fn failure(error: twin_embedding::Error) -> Failure {
    match error {
        twin_embedding::Error::Text(problem) => (FailureKind::Invalid, problem.to_string()),
        error => unavailable(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_short_for_those_who_wait_behind_it_and_no_text_is_left_out() {
        assert_eq!(batches(&[256; 5]), [0..2, 2..4, 4..5], "full windows");
        assert_eq!(batches(&[8; 70]), [0..32, 32..64, 64..70], "short texts");
        assert_eq!(batches(&[8, 8, 256, 8, 8]), [0..2, 2..4, 4..5], "all are read at the length of the longest");
        assert_eq!(batches(&[900, 900]), [0..1, 1..2], "of a model with a larger window");
        assert!(batches(&[]).is_empty());
    }

    #[test]
    fn vectors_travel_in_parts_that_say_which_they_are() {
        let vectors = |count: usize| (0..count).map(|row| vec![row as f32; 1_000]).collect::<Vec<_>>();
        let told: Vec<(u32, usize)> = parts(vectors(70))
            .into_iter()
            .map(|part| match part {
                AnswerPart::Vectors { first, vectors } => {
                    assert_eq!(vectors[0][0], first as f32);
                    (first, vectors.len())
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, [(0, 32), (32, 32), (64, 6)]);
        assert_eq!(parts(vec![vec![0.0; 100_000]; 2]).len(), 2, "one that is longer has a part of its own");
        assert!(parts(Vec::new()).is_empty());
    }
}
