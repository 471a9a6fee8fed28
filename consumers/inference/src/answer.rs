//! One query: retrieve, and if asked for, write an answer from what was found.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures::StreamExt;
use tokio::sync::Semaphore;
use tracing::warn;
use twin_llm::{ABSTENTION, ChatChunk, ChatModel, ChatRequest, cited_markers, grounded_prompt};
use twin_schemas::{
    AnswerPart, Answered, Citation, FailureKind, FinishReason, Passage, Query, QueryKind, StageTimings, Usage,
};
use twin_stream::Error as LogError;

use crate::metrics::Metrics;
use crate::options::LlmOptions;
use crate::publisher::Publisher;
use crate::retrieve::{Retriever, milliseconds};

/// Text is published at most this often, so that a fast model does not write an event for each token.
const DELTA_INTERVAL: Duration = Duration::from_millis(40);

/// How a query ended.
pub(crate) enum Ended {
    Retrieved,
    Answered,
    Abstained,
    Failed,
    Overloaded,
    Cancelled,
}

impl Ended {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Retrieved => "retrieved",
            Self::Answered => "answered",
            Self::Abstained => "abstained",
            Self::Failed => "failed",
            Self::Overloaded => "overloaded",
            Self::Cancelled => "cancelled",
        }
    }
}

pub(crate) struct Answerer {
    retriever: Retriever,
    model: Arc<dyn ChatModel>,
    options: LlmOptions,
    turns: Semaphore,
    waiting: AtomicUsize,
    metrics: Arc<Metrics>,
}

/// A count that goes down when its holder ends, in whatever way.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> (Self, usize) {
        let before = count.fetch_add(1, Ordering::Relaxed);
        (Self(count), before)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Answerer {
    pub(crate) fn new(
        retriever: Retriever,
        model: Arc<dyn ChatModel>,
        options: LlmOptions,
        metrics: Arc<Metrics>,
    ) -> Self {
        let turns = Semaphore::new(options.concurrency.max(1));
        Self { retriever, model, options, turns, waiting: AtomicUsize::new(0), metrics }
    }

    /// Publishes the parts of the answer. Dropping the future stops the generation.
    pub(crate) async fn answer(
        &self,
        query: &Query,
        asked_at: DateTime<Utc>,
        publisher: &mut Publisher,
    ) -> Result<Ended, LogError> {
        let queue_ms = (Utc::now() - asked_at).as_seconds_f64().max(0.0) * 1000.0;
        let question = query.messages.last().map(|message| message.content.as_str()).unwrap_or_default();
        let began = Instant::now();
        let retrieved = self.retriever.retrieve(&query.author, question, query.k as usize, &query.filter).await;
        let retrieved = match retrieved {
            Ok(retrieved) => retrieved,
            Err(error) => return fail(publisher, FailureKind::Unavailable, error.to_string()).await,
        };
        self.metrics.retrieval_seconds.observe(began.elapsed().as_secs_f64());
        self.metrics.stale_hits.inc_by(retrieved.stale);
        let timings = StageTimings { queue_ms, ..retrieved.timings };
        publisher.publish(AnswerPart::Retrieved { passages: retrieved.passages.clone(), timings }).await?;
        if query.kind == QueryKind::Retrieve {
            return Ok(Ended::Retrieved);
        }
        if !self.retriever.knows(&retrieved.passages) {
            return self.abstain(retrieved.passages, timings, publisher).await;
        }
        self.generate(query, retrieved.passages, timings, publisher).await
    }

    async fn abstain(
        &self,
        passages: Vec<Passage>,
        timings: StageTimings,
        publisher: &mut Publisher,
    ) -> Result<Ended, LogError> {
        let answered = Answered {
            text: ABSTENTION.to_owned(),
            abstained: true,
            citations: citations(passages, ABSTENTION, 0),
            model: self.model.name().to_owned(),
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
            timings,
        };
        publisher.publish(AnswerPart::Delta { text: ABSTENTION.to_owned() }).await?;
        publisher.publish(AnswerPart::Finished(Box::new(answered))).await?;
        Ok(Ended::Abstained)
    }

    async fn generate(
        &self,
        query: &Query,
        passages: Vec<Passage>,
        timings: StageTimings,
        publisher: &mut Publisher,
    ) -> Result<Ended, LogError> {
        let (_waiting, ahead) = Counted::new(&self.waiting);
        if ahead >= self.options.queue + self.options.concurrency {
            let message = "too many answers are being written; try again in a few seconds".to_owned();
            fail(publisher, FailureKind::Overloaded, message).await?;
            return Ok(Ended::Overloaded);
        }
        let left = (query.deadline - Utc::now()).to_std().unwrap_or_default();
        // The semaphore is never closed, so an error can only be the time-out.
        let Ok(Ok(_turn)) = tokio::time::timeout(left, self.turns.acquire()).await else {
            return fail(publisher, FailureKind::Expired, "no turn came before the deadline".to_owned()).await;
        };
        self.metrics.generating.inc();
        let written = self.write(query, &passages, timings, publisher).await;
        self.metrics.generating.dec();
        let (text, finish_reason, usage, timings) = match written? {
            Ok(written) => written,
            Err((kind, message)) => return fail(publisher, kind, message).await,
        };
        let given = self.options.prompt.passages;
        let answered = Answered {
            citations: citations(passages, &text, given),
            text,
            abstained: false,
            model: self.model.name().to_owned(),
            finish_reason,
            usage,
            timings,
        };
        publisher.publish(AnswerPart::Finished(Box::new(answered))).await?;
        Ok(Ended::Answered)
    }

    /// Streams the model's text into deltas.
    async fn write(
        &self,
        query: &Query,
        passages: &[Passage],
        mut timings: StageTimings,
        publisher: &mut Publisher,
    ) -> Result<Result<Written, Failure>, LogError> {
        let began = Instant::now();
        let mut stream = match self.model.chat(self.request(query, passages)).await {
            Ok(stream) => stream,
            Err(error) => return Ok(Err(failure(&error))),
        };
        let (mut text, mut unsent, mut sent_at) = (String::new(), String::new(), None::<Instant>);
        let deadline = tokio::time::sleep((query.deadline - Utc::now()).to_std().unwrap_or_default());
        tokio::pin!(deadline);
        loop {
            let chunk = tokio::select! {
                chunk = stream.next() => chunk,
                () = &mut deadline => {
                    return Ok(Err((FailureKind::Expired, "the answer was not finished before the deadline".to_owned())));
                }
            };
            match chunk {
                Some(Ok(ChatChunk::Text(more))) => {
                    if text.is_empty() {
                        timings.first_token_ms = milliseconds(began);
                        self.metrics.first_token_seconds.observe(began.elapsed().as_secs_f64());
                    }
                    text.push_str(&more);
                    unsent.push_str(&more);
                    if sent_at.is_none_or(|at| at.elapsed() >= DELTA_INTERVAL) {
                        publisher.publish(AnswerPart::Delta { text: std::mem::take(&mut unsent) }).await?;
                        sent_at = Some(Instant::now());
                    }
                }
                Some(Ok(ChatChunk::End { finish_reason, usage })) => {
                    if !unsent.is_empty() {
                        publisher.publish(AnswerPart::Delta { text: unsent }).await?;
                    }
                    timings.generate_ms = milliseconds(began);
                    self.metrics.tokens.with_label_values(&["prompt"]).inc_by(u64::from(usage.prompt_tokens));
                    self.metrics.tokens.with_label_values(&["completion"]).inc_by(u64::from(usage.completion_tokens));
                    return Ok(Ok((text, finish_reason, usage, timings)));
                }
                Some(Err(error)) => return Ok(Err(failure(&error))),
                None => {
                    return Ok(Err((FailureKind::Unavailable, "the model stopped without an end".to_owned())));
                }
            }
        }
    }

    fn request(&self, query: &Query, passages: &[Passage]) -> ChatRequest {
        let sampling = &query.sampling;
        ChatRequest {
            messages: grounded_prompt(&query.author, &query.messages, passages, &self.options.prompt),
            max_tokens: sampling.max_tokens.unwrap_or(self.options.max_tokens).min(self.options.max_tokens),
            temperature: sampling.temperature.unwrap_or(self.options.temperature),
            top_p: sampling.top_p.unwrap_or(self.options.top_p),
            frequency_penalty: self.options.frequency_penalty,
            stop: sampling.stop.clone(),
        }
    }
}

type Written = (String, FinishReason, Usage, StageTimings);
type Failure = (FailureKind, String);

fn failure(error: &twin_llm::Error) -> Failure {
    warn!(%error, "the model failed");
    let kind = match error {
        twin_llm::Error::Refused(_) => FailureKind::Invalid,
        _ => FailureKind::Unavailable,
    };
    (kind, error.to_string())
}

async fn fail(publisher: &mut Publisher, kind: FailureKind, message: String) -> Result<Ended, LogError> {
    publisher.publish(AnswerPart::Failed { kind, message }).await?;
    Ok(Ended::Failed)
}

/// Every passage with its marker; the first `given` were in the prompt and can be cited.
fn citations(passages: Vec<Passage>, answer: &str, given: usize) -> Vec<Citation> {
    let cited = cited_markers(answer, given.min(passages.len()));
    let numbered = passages.into_iter().zip(1_u32..);
    numbered.map(|(passage, marker)| Citation { marker, cited: cited.contains(&marker), passage }).collect()
}
