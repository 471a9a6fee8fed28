//! The way of [`Way::Generate`](crate::mode::Way): a turn at the model, and its text as it comes.

use std::time::{Duration, Instant};

use futures::StreamExt;
use prometheus::IntGauge;
use tracing::{info, warn};
use twin_llm::{ChatChunk, ChatModel, ChatRequest, grounded_prompt};
use twin_schemas::{AnswerPart, ChatMessage, FailureKind, FinishReason, Passage, Query, StageTimings, Usage};
use twin_stream::Error as LogError;
use twin_text::repetition::Repetition;

use crate::answer::{Answerer, Ended, fail, refuse, take_turn, time_left};
use crate::models::Assigned;
use crate::publisher::Publisher;
use crate::retrieve::{Retrieved, milliseconds};
use crate::turns::Place;

/// Text is published at most this often, so that a fast model does not write an event for each token.
const DELTA_INTERVAL: Duration = Duration::from_millis(40);

/// No vocabulary has a longer token, bytes: an endpoint that writes more than so many for each token that it was asked
/// for does not keep to what it was asked.
const LONGEST_TOKEN: usize = 128;

/// No answer is longer, bytes, however many tokens were asked for: its end is one event that has all of it.
const LONGEST_TEXT: usize = 4 << 20;

/// One more, until it is dropped: a client that goes away drops the answer wherever it is.
pub(crate) struct Counted<'a>(&'a IntGauge);

impl<'a> Counted<'a> {
    pub(crate) fn new(gauge: &'a IntGauge) -> Self {
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
        found: Retrieved,
        timings: StageTimings,
        publisher: &mut Publisher,
    ) -> Result<Ended, LogError> {
        let turn = match take_turn(&place, query, publisher).await? {
            Ok(turn) => turn,
            Err(ended) => return Ok(ended),
        };
        // The same to the end, whatever is deployed meanwhile. The version that was to answer may have gone while it waited.
        let model = match self.assigned(query).await {
            Ok(Some(assigned)) => assigned.model,
            Ok(None) => return refuse(publisher).await,
            Err((kind, message)) => return fail(publisher, kind, message).await,
        };
        let began = Instant::now();
        let generating = Counted::new(&self.metrics.generating);
        let request = self.request(query, self.given(&found));
        let written = self.write(model.as_ref(), query, request, timings, publisher).await?;
        drop(generating);
        let written = match written {
            Ok(written) => written,
            Err((kind, message)) => {
                if kind == FailureKind::Expired {
                    turn.used();
                }
                return fail(publisher, kind, message).await;
            }
        };
        turn.used();
        let mut answered = match self.checked(query, written, model.name(), found).await {
            Ok(answered) => answered,
            Err((kind, message)) => return fail(publisher, kind, message).await,
        };
        answered.timings.generate_ms = milliseconds(began);
        let ended = if answered.check.replaced.is_some() { Ended::Replaced } else { Ended::Answered };
        publisher.publish(AnswerPart::Finished(Box::new(answered))).await?;
        Ok(ended)
    }

    /// The model that writes for the author, in memory. None is there where the author is quoted.
    pub(crate) async fn assigned(&self, query: &Query) -> Result<Option<Assigned>, Failure> {
        match tokio::time::timeout(time_left(query), self.models.assigned_to(&query.author)).await {
            Ok(Ok(assigned)) => Ok(assigned),
            Ok(Err(error)) => {
                warn!(author = %query.author, %error, "the author's version could not be loaded again");
                Err((FailureKind::Unavailable, error.to_string()))
            }
            Err(_) => Err((FailureKind::Expired, "the author's version was not loaded before the deadline".to_owned())),
        }
    }

    /// Streams the model's text into deltas.
    pub(crate) async fn write(
        &self,
        model: &dyn ChatModel,
        query: &Query,
        request: ChatRequest,
        mut timings: StageTimings,
        publisher: &mut Publisher,
    ) -> Result<Result<Written, Failure>, LogError> {
        let began = Instant::now();
        let longest = (request.max_tokens as usize * LONGEST_TOKEN).min(LONGEST_TEXT);
        let mut stream = match model.chat(request).await {
            Ok(stream) => stream,
            Err(error) => return Ok(Err(failure(&error))),
        };
        let mut draft = Draft::new(query.format.is_text());
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
                    if draft.repeats_itself(&more) {
                        self.metrics.loops_cut.inc();
                        info!(request_id = %query.request_id, model = model.name(), "the model repeats itself, cut");
                        break (FinishReason::Repetition, Usage::default());
                    }
                    draft.send(publisher).await?;
                }
                Some(Ok(ChatChunk::End { finish_reason, usage })) => break (finish_reason, usage),
                Some(Err(error)) => return Ok(Err(failure(&error))),
                None => {
                    return Ok(Err((FailureKind::Unavailable, "the model stopped without an end".to_owned())));
                }
            }
        };
        // The model writes nothing that nobody reads.
        drop(stream);
        let text = draft.finish(publisher).await?;
        self.metrics.tokens.with_label_values(&["prompt"]).inc_by(u64::from(usage.prompt_tokens));
        self.metrics.tokens.with_label_values(&["completion"]).inc_by(u64::from(usage.completion_tokens));
        Ok(Ok(Written { text, finish_reason, usage, timings }))
    }

    /// What a question and its passages are put to the model as.
    fn request(&self, query: &Query, passages: &[Passage]) -> ChatRequest {
        let messages = grounded_prompt(&query.author, &query.messages, passages, &self.options.prompt);
        self.chat_request(query, messages, query.sampling.max_tokens.unwrap_or(self.options.max_tokens))
    }

    /// A prompt with what the query asks for, and for the rest what is configured.
    pub(crate) fn chat_request(&self, query: &Query, messages: Vec<ChatMessage>, max_tokens: u32) -> ChatRequest {
        let sampling = &query.sampling;
        ChatRequest {
            messages,
            max_tokens,
            temperature: sampling.temperature.unwrap_or(self.options.temperature),
            top_p: sampling.top_p.unwrap_or(self.options.top_p),
            frequency_penalty: sampling
                .frequency_penalty
                .map_or_else(|| self.options.penalty_within(max_tokens), |penalty| penalty as f32),
            presence_penalty: sampling.presence_penalty.unwrap_or_default() as f32,
            seed: sampling.seed,
            stop: sampling.stop.clone(),
            format: query.format.clone(),
        }
    }
}

/// A text as it is being written, published piece by piece.
struct Draft {
    text: String,
    /// Bytes of it that are published.
    sent: usize,
    sent_at: Option<Instant>,
    /// None where the text is JSON, which may say the same again and again.
    repetition: Option<Repetition>,
}

impl Draft {
    fn new(is_text: bool) -> Self {
        Self { text: String::new(), sent: 0, sent_at: None, repetition: is_text.then(Repetition::default) }
    }

    /// Adds more text, and whether it repeats itself by now. The text is then cut before that. What is sent stays sent: the end
    /// of an answer has the text that counts.
    fn repeats_itself(&mut self, more: &str) -> bool {
        self.text.push_str(more);
        let begun = self.repetition.as_mut().and_then(|repetition| repetition.since(&self.text));
        if let Some(begun) = begun {
            self.text.truncate(self.text[..begun].trim_end().len());
        }
        begun.is_some()
    }

    /// Publishes what is new, if the time for it has come.
    async fn send(&mut self, publisher: &mut Publisher) -> Result<(), LogError> {
        if self.sent_at.is_none_or(|at| at.elapsed() >= DELTA_INTERVAL) {
            self.send_rest(publisher).await?;
            self.sent_at = Some(Instant::now());
        }
        Ok(())
    }

    async fn send_rest(&mut self, publisher: &mut Publisher) -> Result<(), LogError> {
        if let Some(text) = self.text.get(self.sent..).filter(|text| !text.is_empty()) {
            publisher.publish(AnswerPart::Delta { text: text.to_owned() }).await?;
            self.sent = self.text.len();
        }
        Ok(())
    }

    async fn finish(mut self, publisher: &mut Publisher) -> Result<String, LogError> {
        self.send_rest(publisher).await?;
        Ok(self.text)
    }
}

/// What a model wrote.
pub(crate) struct Written {
    pub text: String,
    pub finish_reason: FinishReason,
    pub usage: Usage,
    pub timings: StageTimings,
}

/// Why there is no answer.
pub(crate) type Failure = (FailureKind, String);

fn failure(error: &twin_llm::Error) -> Failure {
    warn!(%error, "the model failed");
    let kind = match error {
        twin_llm::Error::Refused(_) => FailureKind::Invalid,
        _ => FailureKind::Unavailable,
    };
    (kind, error.to_string())
}
