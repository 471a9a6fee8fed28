//! The way of [`Way::Generate`](crate::mode::Way): a turn at the model, and its text as it comes.

use std::time::{Duration, Instant};

use futures::StreamExt;
use prometheus::IntGauge;
use tracing::warn;
use twin_llm::{ChatChunk, ChatModel, ChatRequest, cited_markers, grounded_prompt};
use twin_schemas::{AnswerMode, AnswerPart, Answered, FailureKind, FinishReason, Passage, Query, StageTimings, Usage};
use twin_stream::Error as LogError;

use crate::answer::{Answerer, Ended, citations, fail, refuse, take_turn, time_left};
use crate::publisher::Publisher;
use crate::retrieve::milliseconds;
use crate::turns::Place;

/// Text is published at most this often, so that a fast model does not write an event for each token.
const DELTA_INTERVAL: Duration = Duration::from_millis(40);

/// No vocabulary has a longer token, bytes: an endpoint that writes more than so many for each token that it was asked
/// for does not keep to what it was asked.
const LONGEST_TOKEN: usize = 128;

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
    /// Writes an answer with the author's model.
    pub(crate) async fn generate(
        &self,
        query: &Query,
        place: Place<'_>,
        passages: Vec<Passage>,
        timings: StageTimings,
        publisher: &mut Publisher,
    ) -> Result<Ended, LogError> {
        let turn = match take_turn(&place, query, publisher).await? {
            Ok(turn) => turn,
            Err(ended) => return Ok(ended),
        };
        // The same to the end, whatever is deployed meanwhile. The version that was to answer may have gone while it waited.
        let Some(model) = self.models.of(&query.author) else { return refuse(publisher).await };
        let generating = Counted::new(&self.metrics.generating);
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
        let cited = cited_markers(&text, passages.len());
        let answered = Answered {
            citations: citations(passages, &cited),
            text,
            abstained: false,
            mode: AnswerMode::Generated,
            model: model.name().to_owned(),
            finish_reason,
            usage,
            timings,
            searched_question: publisher.searched_question(),
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
