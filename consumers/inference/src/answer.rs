//! One query: retrieve, and if asked for, quote or generate an answer from what was found. A text is composed in `writing`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use twin_llm::{PromptOptions, abstention};
use twin_schemas::{
    AnswerCheck, AnswerMode, AnswerPart, Answered, Citation, FailureKind, FinishReason, Passage, Query, QueryKind,
    StageTimings, Usage,
};
use twin_stream::Error as LogError;
use twin_text::natural::Language;

use crate::follow_up::{Reading, read};
use crate::metrics::Metrics;
use crate::mode::{Way, way};
use crate::models::Models;
use crate::options::{AnswerOptions, LlmOptions};
use crate::publisher::Publisher;
use crate::retrieve::{Retrieved, Retriever};
use crate::turns::{NoTurn, Place, Turn, Turns, Work};

/// Answers quoted at once. The embedding model gives each all of its threads, so that more at once would end no sooner.
const QUOTED_AT_ONCE: usize = 2;

/// Answers that wait to be quoted. They take a fraction of a second each; what would be too late for its deadline is
/// refused before.
const QUOTES_WAITING: usize = 256;

/// How a query ended.
pub(crate) enum Ended {
    Retrieved,
    Quoted,
    Answered,
    /// By quotations in place of what a model wrote.
    Replaced,
    Abstained,
    Embedded,
    Written,
    Courteous,
    Failed,
    Overloaded,
    Cancelled,
}

impl Ended {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Retrieved => "retrieved",
            Self::Quoted => "quoted",
            Self::Answered => "answered",
            Self::Replaced => "replaced",
            Self::Abstained => "abstained",
            Self::Embedded => "embedded",
            Self::Written => "written",
            Self::Courteous => "courteous",
            Self::Failed => "failed",
            Self::Overloaded => "overloaded",
            Self::Cancelled => "cancelled",
        }
    }
}

pub(crate) struct Answerer {
    pub(crate) retriever: Retriever,
    pub(crate) answers: AnswerOptions,
    pub(crate) models: Arc<Models>,
    pub(crate) options: LlmOptions,
    /// Turns at the language model.
    pub(crate) turns: Turns,
    /// Turns at quoting, which asks the embedding model alone.
    quoting: Turns,
    pub(crate) metrics: Arc<Metrics>,
}

impl Answerer {
    pub(crate) fn new(
        retriever: Retriever,
        answers: AnswerOptions,
        models: Arc<Models>,
        options: LlmOptions,
        metrics: Arc<Metrics>,
    ) -> Self {
        let turns = Turns::new(options.concurrency, options.queue);
        let quoting = Turns::new(QUOTED_AT_ONCE, QUOTES_WAITING);
        Self { retriever, answers, models, options, turns, quoting, metrics }
    }

    /// Publishes the parts of the answer. Dropping the future stops the work on it.
    pub(crate) async fn answer(
        &self,
        query: &Query,
        asked_at: DateTime<Utc>,
        publisher: &mut Publisher,
    ) -> Result<Ended, LogError> {
        if query.kind == QueryKind::Retrieve {
            let retrieved = self.retrieve(query, question(query), asked_at, publisher).await?;
            return Ok(retrieved.map_or(Ended::Failed, |_| Ended::Retrieved));
        }
        if query.kind == QueryKind::Write {
            return self.compose(query, asked_at, publisher).await;
        }
        let way = way(self.answers.mode, self.models.writer_of(&query.author), query.format.is_text());
        let turns = match way {
            Way::Quote => &self.quoting,
            Way::Generate => &self.turns,
            Way::Refuse => return refuse(publisher).await,
        };
        let reading = read(&query.messages);
        if let (Reading::Courtesy(reply), true) = (&reading, query.format.is_text()) {
            return self.be_courteous(query, way, reply, asked_at, publisher).await;
        }
        // Before anything is spent on it and before its first part is out: a client is then refused as a whole.
        let Some(place) = turns.enter(Work::Answer, time_left(query)) else { return overloaded(publisher).await };
        let searched = self.to_search(query, way, reading, &place).await;
        let Some((found, timings)) = self.retrieve(query, &searched, asked_at, publisher).await? else {
            return Ok(Ended::Failed);
        };
        // A model is given the best of them.
        let given = if way == Way::Generate { self.given(&found) } else { found.passages.as_slice() };
        let knows = match self.retriever.knows(&query.author, &found, given).await {
            Ok(knows) => knows,
            Err(error) => return fail(publisher, FailureKind::Unavailable, error.to_string()).await,
        };
        match (way, knows) {
            (Way::Quote, true) => self.quote(query, place, found, timings, publisher).await,
            (Way::Quote, false) => abstain(query, AnswerMode::Quoted, found.model(), timings, publisher).await,
            (Way::Generate | Way::Refuse, true) => self.generate(query, place, found, timings, publisher).await,
            (Way::Generate | Way::Refuse, false) => {
                let model = self.models.name_of(&query.author);
                abstain(query, AnswerMode::Generated, model, timings, publisher).await
            }
        }
    }

    /// Of what was found, what a model is given.
    pub(crate) fn given<'a>(&self, found: &'a Retrieved) -> &'a [Passage] {
        given(found, &self.options.prompt)
    }

    /// Finds passages and publishes them; none if that failed, which is then published.
    pub(crate) async fn retrieve(
        &self,
        query: &Query,
        question: &str,
        asked_at: DateTime<Utc>,
        publisher: &mut Publisher,
    ) -> Result<Option<(Retrieved, StageTimings)>, LogError> {
        let queue_ms = queue_ms(asked_at);
        let began = Instant::now();
        publisher.searches(question);
        let k = query.k as usize;
        let retrieved = match self.retriever.retrieve(&query.author, question, k, &query.filter).await {
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
        Ok(Some((retrieved, timings)))
    }
}

/// Of what was found, what a prompt has room for.
pub(crate) fn given<'a>(found: &'a Retrieved, prompt: &PromptOptions) -> &'a [Passage] {
    &found.passages[..found.passages.len().min(prompt.passages)]
}

/// Milliseconds since the gateway's event.
pub(crate) fn queue_ms(asked_at: DateTime<Utc>) -> f64 {
    (Utc::now() - asked_at).as_seconds_f64().max(0.0) * 1000.0
}

/// What is asked: the last message of the conversation.
pub(crate) fn question(query: &Query) -> &str {
    query.messages.last().map(|message| message.content.as_str()).unwrap_or_default()
}

/// What the twin says when it does not know, in the language of who asks.
pub(crate) fn said_of_the_unknown(query: &Query) -> &'static str {
    abstention(Language::told(question(query)).map(Language::code))
}

/// Says that the twin does not know.
pub(crate) async fn abstain(
    query: &Query,
    mode: AnswerMode,
    model: String,
    timings: StageTimings,
    publisher: &mut Publisher,
) -> Result<Ended, LogError> {
    // In the language of who asks, as models are taught it.
    let text = said_of_the_unknown(query);
    let answered = Answered {
        text: text.to_owned(),
        abstained: true,
        mode,
        citations: Vec::new(),
        model,
        finish_reason: FinishReason::Stop,
        usage: Usage::default(),
        timings,
        check: AnswerCheck::default(),
        searched_question: publisher.searched_question(),
    };
    // Whoever wants JSON is given nothing else piece by piece.
    let delta = query.format.is_text().then(|| AnswerPart::Delta { text: text.to_owned() });
    publisher.publish_all(delta.into_iter().chain([AnswerPart::Finished(Box::new(answered))])).await?;
    Ok(Ended::Abstained)
}

/// The turn of a place; or how the query ended, which is published, if none comes in time.
pub(crate) async fn take_turn<'a>(
    place: &Place<'a>,
    query: &Query,
    publisher: &mut Publisher,
) -> Result<Result<Turn<'a>, Ended>, LogError> {
    match place.turn(time_left(query)).await {
        Ok(turn) => Ok(Ok(turn)),
        Err(NoTurn::TooLate) => overloaded(publisher).await.map(Err),
        Err(NoTurn::Expired) => {
            let message = "no turn came before the deadline".to_owned();
            fail(publisher, FailureKind::Expired, message).await.map(Err)
        }
    }
}

pub(crate) async fn fail(publisher: &mut Publisher, kind: FailureKind, message: String) -> Result<Ended, LogError> {
    publisher.publish(AnswerPart::Failed { kind, message }).await?;
    Ok(Ended::Failed)
}

/// For a query that only a language model can answer, where there is none.
pub(crate) async fn refuse(publisher: &mut Publisher) -> Result<Ended, LogError> {
    let message = "this twin quotes (`answers.mode`), and JSON can not be quoted: there is no model to write it";
    fail(publisher, FailureKind::Invalid, message.to_owned()).await
}

pub(crate) async fn overloaded(publisher: &mut Publisher) -> Result<Ended, LogError> {
    let message = "too many answers are being written; try again in a few seconds".to_owned();
    fail(publisher, FailureKind::Overloaded, message).await?;
    Ok(Ended::Overloaded)
}

pub(crate) fn time_left(query: &Query) -> Duration {
    (query.deadline - Utc::now()).to_std().unwrap_or_default()
}

/// Every passage that the answer was made from, with its marker.
pub(crate) fn citations(passages: Vec<Passage>, cited: &[u32]) -> Vec<Citation> {
    let numbered = passages.into_iter().zip(1_u32..);
    numbered.map(|(passage, marker)| Citation { marker, cited: cited.contains(&marker), passage }).collect()
}
