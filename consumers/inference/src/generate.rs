//! The way of [`Way::Generate`](crate::mode::Way): a turn at the model, and the answer that is made of its text.

use std::time::Instant;

use prometheus::IntGauge;
use tracing::warn;
use twin_llm::{ChatRequest, grounded_prompt};
use twin_schemas::{AnswerPart, ChatMessage, FailureKind, Passage, Query, StageTimings};
use twin_stream::Error as LogError;

use crate::answer::{Answerer, Ended, fail, refuse, take_turn, time_left};
use crate::drafting::{Failure, Order};
use crate::models::Assigned;
use crate::publisher::Publisher;
use crate::retrieve::{Retrieved, milliseconds};
use crate::support::Checking;
use crate::turns::Place;

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
        let given = self.given(&found);
        let request = self.request(query, given);
        // JSON is not checked: its values are no sentences.
        let checking = query.format.is_text().then(|| Checking::new(given, found.embedder.clone()));
        let order = Order { request, checking, least_share: self.answers.min_grounded };
        let written = self.write(model.as_ref(), query, order, timings, publisher).await?;
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
        let ended = match answered.check.replaced {
            Some(_) => Ended::Replaced,
            None if answered.abstained => Ended::Abstained,
            None => Ended::Answered,
        };
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

    /// What a question and its passages are put to the model as.
    fn request(&self, query: &Query, passages: &[Passage]) -> ChatRequest {
        let messages = grounded_prompt(&query.author, &query.messages, passages, &self.options.prompt);
        let max_tokens = query.sampling.max_tokens;
        self.chat_request(query, messages, max_tokens.unwrap_or_else(|| self.options.default_tokens()))
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
