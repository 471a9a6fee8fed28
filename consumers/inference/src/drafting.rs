//! A text as a model writes it: published piece by piece, checked sentence by sentence beside that, and ended where it goes
//! round in circles or can not become an answer any more.

use std::future::pending;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use futures::StreamExt;
use tracing::{info, warn};
use twin_llm::{ChatChunk, ChatModel, ChatRequest};
use twin_schemas::{AnswerPart, FailureKind, FinishReason, Query, SentenceSupport, StageTimings, Usage};
use twin_stream::Error as LogError;
use twin_text::repetition::Repetition;

use crate::answer::{Answerer, time_left};
use crate::metrics::Metrics;
use crate::publisher::Publisher;
use crate::retrieve::milliseconds;
use crate::support::Checking;

/// Text is published at most this often, so that a fast model does not write an event for each token.
const DELTA_INTERVAL: Duration = Duration::from_millis(40);

/// No vocabulary has a longer token, bytes: an endpoint that writes more than so many for each token that it was asked
/// for does not keep to what it was asked.
const LONGEST_TOKEN: usize = 128;

/// No answer is longer, bytes, however many tokens were asked for: its end is one event that has all of it.
const LONGEST_TEXT: usize = 4 << 20;

/// What a model is to write, and how that is checked.
pub(crate) struct Order {
    pub request: ChatRequest,
    /// None: it is not checked.
    pub checking: Option<Checking>,
    /// The share of it that passages are to support; where that can not be reached any more, the model is stopped.
    pub least_share: f32,
}

/// What a model wrote.
pub(crate) struct Written {
    pub text: String,
    pub finish_reason: FinishReason,
    pub usage: Usage,
    pub timings: StageTimings,
    /// What was found of its sentences so far.
    pub checking: Option<Checking>,
    /// The model was stopped, since passages would have supported too little of it in any case.
    pub is_given_up: bool,
}

/// Why there is no answer.
pub(crate) type Failure = (FailureKind, String);

/// How a model came to its end: why, and with how many tokens.
type End = Result<(FinishReason, Usage), Failure>;

impl Answerer {
    /// Streams the model's text into deltas, and what is found of its sentences behind them.
    pub(crate) async fn write(
        &self,
        model: &dyn ChatModel,
        query: &Query,
        order: Order,
        timings: StageTimings,
        publisher: &mut Publisher,
    ) -> Result<Result<Written, Failure>, LogError> {
        let mut drafting = Drafting::new(query, model.name(), &self.metrics, &order.request, timings);
        (drafting.checking, drafting.least_share) = (order.checking, order.least_share);
        let mut stream = match model.chat(order.request).await {
            Ok(stream) => stream,
            Err(error) => return Ok(Err(failure(&error))),
        };
        let deadline = tokio::time::sleep(time_left(query));
        tokio::pin!(deadline);
        let ended = loop {
            let step = tokio::select! {
                chunk = stream.next() => drafting.take(chunk, publisher).await?,
                support = drafting.support() => drafting.tell(support, publisher).await?,
                () = &mut deadline => ControlFlow::Break(Err(not_in_time())),
            };
            if let ControlFlow::Break(ended) = step {
                break ended;
            }
        };
        // The model writes nothing that nobody reads.
        drop(stream);
        match ended {
            Ok((finish_reason, usage)) => Ok(Ok(drafting.finish(finish_reason, usage, publisher).await?)),
            Err(failure) => Ok(Err(failure)),
        }
    }
}

/// A text that is being written.
struct Drafting<'a> {
    query: &'a Query,
    model: &'a str,
    metrics: &'a Metrics,
    timings: StageTimings,
    began: Instant,
    draft: Draft,
    /// Bytes.
    longest: usize,
    max_tokens: u32,
    checking: Option<Checking>,
    least_share: f32,
    is_given_up: bool,
}

impl<'a> Drafting<'a> {
    fn new(
        query: &'a Query,
        model: &'a str,
        metrics: &'a Metrics,
        request: &ChatRequest,
        timings: StageTimings,
    ) -> Self {
        Self {
            query,
            model,
            metrics,
            timings,
            began: Instant::now(),
            draft: Draft::new(query.format.is_text()),
            longest: (request.max_tokens as usize * LONGEST_TOKEN).min(LONGEST_TEXT),
            max_tokens: request.max_tokens,
            checking: None,
            least_share: 0.0,
            is_given_up: false,
        }
    }

    /// What is found next of the sentences so far. It does not end while there is nothing to find; to drop it loses nothing.
    async fn support(&mut self) -> Vec<SentenceSupport> {
        match &mut self.checking {
            Some(checking) => checking.next(&self.draft.text).await,
            None => pending().await,
        }
    }

    /// What the model sends.
    async fn take(
        &mut self,
        chunk: Option<Result<ChatChunk, twin_llm::Error>>,
        publisher: &mut Publisher,
    ) -> Result<ControlFlow<End>, LogError> {
        let ended = match chunk {
            Some(Ok(ChatChunk::Text(more))) => return self.text(&more, publisher).await,
            Some(Ok(ChatChunk::End { finish_reason, usage })) => Ok((finish_reason, usage)),
            Some(Err(error)) => Err(failure(&error)),
            None => Err((FailureKind::Unavailable, "the model stopped without an end".to_owned())),
        };
        Ok(ControlFlow::Break(ended))
    }

    async fn text(&mut self, more: &str, publisher: &mut Publisher) -> Result<ControlFlow<End>, LogError> {
        let request_id = self.query.request_id;
        if self.draft.text.len() + more.len() > self.longest {
            warn!(%request_id, longest = self.longest, "the model writes more than it was asked for");
            return Ok(cut(FinishReason::Length));
        }
        if self.draft.text.is_empty() {
            self.timings.first_token_ms = milliseconds(self.began);
            self.metrics.first_token_seconds.observe(self.began.elapsed().as_secs_f64());
        }
        if self.draft.repeats_itself(more) {
            self.metrics.loops_cut.inc();
            info!(%request_id, model = self.model, "the model repeats itself, cut");
            return Ok(cut(FinishReason::Repetition));
        }
        self.draft.send(publisher).await?;
        Ok(ControlFlow::Continue(()))
    }

    /// Publishes what was found of sentences, behind their text.
    async fn tell(
        &mut self,
        support: Vec<SentenceSupport>,
        publisher: &mut Publisher,
    ) -> Result<ControlFlow<End>, LogError> {
        let parts = support.into_iter().map(|sentence| AnswerPart::Support(Box::new(sentence)));
        publisher.publish_all(self.draft.rest().into_iter().chain(parts)).await?;
        let may_reach = |checking: &Checking| checking.may_reach(self.least_share, self.max_tokens);
        self.is_given_up = !self.checking.as_ref().is_none_or(may_reach);
        if self.is_given_up {
            info!(request_id = %self.query.request_id, model = self.model, "passages support too little, cut");
            return Ok(cut(FinishReason::Length));
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn finish(
        mut self,
        finish_reason: FinishReason,
        usage: Usage,
        publisher: &mut Publisher,
    ) -> Result<Written, LogError> {
        if let Some(rest) = self.draft.rest() {
            publisher.publish(rest).await?;
        }
        self.metrics.tokens.with_label_values(&["prompt"]).inc_by(u64::from(usage.prompt_tokens));
        self.metrics.tokens.with_label_values(&["completion"]).inc_by(u64::from(usage.completion_tokens));
        let Self { draft, timings, checking, is_given_up, .. } = self;
        Ok(Written { text: draft.text, finish_reason, usage, timings, checking, is_given_up })
    }
}

/// The end of a model that was not let come to its own, which tells no tokens.
fn cut(finish_reason: FinishReason) -> ControlFlow<End> {
    ControlFlow::Break(Ok((finish_reason, Usage::default())))
}

fn not_in_time() -> Failure {
    (FailureKind::Expired, "the answer was not finished before the deadline".to_owned())
}

fn failure(error: &twin_llm::Error) -> Failure {
    warn!(%error, "the model failed");
    let kind = match error {
        twin_llm::Error::Refused(_) => FailureKind::Invalid,
        _ => FailureKind::Unavailable,
    };
    (kind, error.to_string())
}

/// A text so far.
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
            if let Some(rest) = self.rest() {
                publisher.publish(rest).await?;
            }
            self.sent_at = Some(Instant::now());
        }
        Ok(())
    }

    /// What of the text was not published yet; it counts as published from here on.
    fn rest(&mut self) -> Option<AnswerPart> {
        let text = self.text.get(self.sent..).filter(|text| !text.is_empty())?.to_owned();
        self.sent = self.text.len();
        Some(AnswerPart::Delta { text })
    }
}
