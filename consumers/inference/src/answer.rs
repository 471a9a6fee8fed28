//! One query: retrieve, and if asked for, write an answer from what was found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures::StreamExt;
use prometheus::IntGauge;
use tracing::warn;
use twin_llm::{ABSTENTION, ChatChunk, ChatModel, ChatRequest, cited_markers, grounded_prompt};
use twin_schemas::{
    AnswerPart, Answered, Citation, FailureKind, FinishReason, Passage, Query, QueryKind, StageTimings, Usage,
};
use twin_stream::Error as LogError;

use crate::metrics::Metrics;
use crate::models::Models;
use crate::options::LlmOptions;
use crate::publisher::Publisher;
use crate::retrieve::{Retriever, milliseconds};
use crate::turns::{NoTurn, Place, Turns};

/// Text is published at most this often, so that a fast model does not write an event for each token.
const DELTA_INTERVAL: Duration = Duration::from_millis(40);

/// No vocabulary has a longer token, bytes: an endpoint that writes more than so many for each token that it was asked
/// for does not keep to what it was asked.
const LONGEST_TOKEN: usize = 128;

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
    models: Arc<Models>,
    options: LlmOptions,
    turns: Turns,
    metrics: Arc<Metrics>,
}

/// One more, until it is dropped: a client that goes away drops the answer wherever it is.
struct Counted<'a>(&'a IntGauge);

impl<'a> Counted<'a> {
    fn new(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Answerer {
    pub(crate) fn new(retriever: Retriever, models: Arc<Models>, options: LlmOptions, metrics: Arc<Metrics>) -> Self {
        let turns = Turns::new(options.concurrency, options.queue);
        Self { retriever, models, options, turns, metrics }
    }

    /// Publishes the parts of the answer. Dropping the future stops the generation.
    pub(crate) async fn answer(
        &self,
        query: &Query,
        asked_at: DateTime<Utc>,
        publisher: &mut Publisher,
    ) -> Result<Ended, LogError> {
        if query.kind == QueryKind::Retrieve {
            let retrieved = self.retrieve(query, asked_at, publisher).await?;
            return Ok(retrieved.map_or(Ended::Failed, |_| Ended::Retrieved));
        }
        // Before anything is spent on it and before its first part is out: a client is then refused as a whole.
        let Some(place) = self.turns.enter(time_left(query)) else { return overloaded(publisher).await };
        let Some((mut passages, timings)) = self.retrieve(query, asked_at, publisher).await? else {
            return Ok(Ended::Failed);
        };
        // From here on, those that the model is given.
        passages.truncate(self.options.prompt.passages);
        if !self.retriever.knows(&passages) {
            return self.abstain(query, timings, publisher).await;
        }
        self.generate(query, place, passages, timings, publisher).await
    }

    /// Finds passages and publishes them; none if that failed, which is then published.
    async fn retrieve(
        &self,
        query: &Query,
        asked_at: DateTime<Utc>,
        publisher: &mut Publisher,
    ) -> Result<Option<(Vec<Passage>, StageTimings)>, LogError> {
        let queue_ms = (Utc::now() - asked_at).as_seconds_f64().max(0.0) * 1000.0;
        let question = query.messages.last().map(|message| message.content.as_str()).unwrap_or_default();
        let began = Instant::now();
        let retrieved = self.retriever.retrieve(&query.author, question, query.k as usize, &query.filter).await;
        let retrieved = match retrieved {
            Ok(retrieved) => retrieved,
            Err(error) => {
                fail(publisher, FailureKind::Unavailable, error.to_string()).await?;
                return Ok(None);
            }
        };
        self.metrics.retrieval_seconds.observe(began.elapsed().as_secs_f64());
        self.metrics.stale_hits.inc_by(retrieved.stale);
        let timings = StageTimings { queue_ms, ..retrieved.timings };
        publisher.publish(AnswerPart::Retrieved { passages: retrieved.passages.clone(), timings }).await?;
        Ok(Some((retrieved.passages, timings)))
    }

    async fn abstain(
        &self,
        query: &Query,
        timings: StageTimings,
        publisher: &mut Publisher,
    ) -> Result<Ended, LogError> {
        let answered = Answered {
            text: ABSTENTION.to_owned(),
            abstained: true,
            citations: Vec::new(),
            model: self.models.of(&query.author).name().to_owned(),
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
            timings,
        };
        // Whoever wants JSON is given nothing else piece by piece.
        let delta = query.format.is_text().then(|| AnswerPart::Delta { text: ABSTENTION.to_owned() });
        publisher.publish_all(delta.into_iter().chain([AnswerPart::Finished(Box::new(answered))])).await?;
        Ok(Ended::Abstained)
    }

    async fn generate(
        &self,
        query: &Query,
        place: Place<'_>,
        passages: Vec<Passage>,
        timings: StageTimings,
        publisher: &mut Publisher,
    ) -> Result<Ended, LogError> {
        let turn = match place.turn(time_left(query)).await {
            Ok(turn) => turn,
            Err(NoTurn::TooLate) => return overloaded(publisher).await,
            Err(NoTurn::Expired) => {
                return fail(publisher, FailureKind::Expired, "no turn came before the deadline".to_owned()).await;
            }
        };
        let generating = Counted::new(&self.metrics.generating);
        // The same to the end, whatever is deployed meanwhile.
        let model = self.models.of(&query.author);
        let written = self.write(model.as_ref(), query, &passages, timings, publisher).await?;
        drop(generating);
        let (text, finish_reason, usage, timings) = match written {
            Ok(written) => written,
            Err((kind, message)) => {
                if kind == FailureKind::Expired {
                    turn.used();
                }
                return fail(publisher, kind, message).await;
            }
        };
        turn.used();
        let answered = Answered {
            citations: citations(passages, &text),
            text,
            abstained: false,
            model: model.name().to_owned(),
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
        model: &dyn ChatModel,
        query: &Query,
        passages: &[Passage],
        mut timings: StageTimings,
        publisher: &mut Publisher,
    ) -> Result<Result<Written, Failure>, LogError> {
        let began = Instant::now();
        let request = self.request(query, passages);
        let longest = request.max_tokens as usize * LONGEST_TOKEN;
        let mut stream = match model.chat(request).await {
            Ok(stream) => stream,
            Err(error) => return Ok(Err(failure(&error))),
        };
        let mut draft = Draft::default();
        let deadline = tokio::time::sleep(time_left(query));
        tokio::pin!(deadline);
        let (finish_reason, usage) = loop {
            let chunk = tokio::select! {
                chunk = stream.next() => chunk,
                () = &mut deadline => {
                    return Ok(Err((FailureKind::Expired, "the answer was not finished before the deadline".to_owned())));
                }
            };
            match chunk {
                Some(Ok(ChatChunk::Text(more))) if draft.text.len() + more.len() > longest => {
                    warn!(request_id = %query.request_id, longest, "the model writes more than it was asked for");
                    break (FinishReason::Length, Usage::default());
                }
                Some(Ok(ChatChunk::Text(more))) => {
                    if draft.text.is_empty() {
                        timings.first_token_ms = milliseconds(began);
                        self.metrics.first_token_seconds.observe(began.elapsed().as_secs_f64());
                    }
                    draft.add(&more, publisher).await?;
                }
                Some(Ok(ChatChunk::End { finish_reason, usage })) => break (finish_reason, usage),
                Some(Err(error)) => return Ok(Err(failure(&error))),
                None => {
                    return Ok(Err((FailureKind::Unavailable, "the model stopped without an end".to_owned())));
                }
            }
        };
        let text = draft.finish(publisher).await?;
        timings.generate_ms = milliseconds(began);
        self.metrics.tokens.with_label_values(&["prompt"]).inc_by(u64::from(usage.prompt_tokens));
        self.metrics.tokens.with_label_values(&["completion"]).inc_by(u64::from(usage.completion_tokens));
        Ok(Ok((text, finish_reason, usage, timings)))
    }

    fn request(&self, query: &Query, passages: &[Passage]) -> ChatRequest {
        let sampling = &query.sampling;
        ChatRequest {
            messages: grounded_prompt(&query.author, &query.messages, passages, &self.options.prompt),
            max_tokens: sampling.max_tokens.unwrap_or(self.options.max_tokens).min(self.options.max_tokens),
            temperature: sampling.temperature.unwrap_or(self.options.temperature),
            top_p: sampling.top_p.unwrap_or(self.options.top_p),
            frequency_penalty: self.options.frequency_penalty,
            seed: sampling.seed,
            stop: sampling.stop.clone(),
            format: query.format.clone(),
        }
    }
}

/// A text as it is being written, published piece by piece.
#[derive(Default)]
struct Draft {
    text: String,
    unsent: String,
    sent_at: Option<Instant>,
}

impl Draft {
    async fn add(&mut self, more: &str, publisher: &mut Publisher) -> Result<(), LogError> {
        self.text.push_str(more);
        self.unsent.push_str(more);
        if self.sent_at.is_none_or(|at| at.elapsed() >= DELTA_INTERVAL) {
            publisher.publish(AnswerPart::Delta { text: std::mem::take(&mut self.unsent) }).await?;
            self.sent_at = Some(Instant::now());
        }
        Ok(())
    }

    async fn finish(self, publisher: &mut Publisher) -> Result<String, LogError> {
        if !self.unsent.is_empty() {
            publisher.publish(AnswerPart::Delta { text: self.unsent }).await?;
        }
        Ok(self.text)
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

async fn overloaded(publisher: &mut Publisher) -> Result<Ended, LogError> {
    let message = "too many answers are being written; try again in a few seconds".to_owned();
    fail(publisher, FailureKind::Overloaded, message).await?;
    Ok(Ended::Overloaded)
}

fn time_left(query: &Query) -> Duration {
    (query.deadline - Utc::now()).to_std().unwrap_or_default()
}

/// Every passage that was in the prompt, with its marker.
fn citations(passages: Vec<Passage>, answer: &str) -> Vec<Citation> {
    let cited = cited_markers(answer, passages.len());
    let numbered = passages.into_iter().zip(1_u32..);
    numbered.map(|(passage, marker)| Citation { marker, cited: cited.contains(&marker), passage }).collect()
}
