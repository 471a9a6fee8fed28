//! Which question is searched for a query; and the reply to one that asks for nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::debug;
use twin_llm::whole;
use twin_schemas::{AnswerCheck, AnswerMode, AnswerPart, Answered, FinishReason, Query, StageTimings, Usage};
use twin_stream::Error as LogError;

use super::{Reading, rewriting};
use crate::answer::{Answerer, Ended, question, queue_ms, time_left};
use crate::mode::{Way, Writer};
use crate::publisher::Publisher;
use crate::turns::Place;

/// How long a model may take to rewrite a question, with the wait for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// The part of the time that is left of which a model may rewrite the question.
const PART: u32 = 4;

impl Answerer {
    /// The question to be searched, made of the conversation where the last message depends on it.
    pub(crate) async fn to_search(&self, query: &Query, way: Way, reading: Reading, place: &Place<'_>) -> String {
        // The small model that every installation has takes seconds to write something else.
        let rewrites = way == Way::Generate && self.models.writer_of(&query.author) == Writer::Chosen;
        let (question, searched) = match reading {
            Reading::StandsAlone | Reading::Courtesy(_) => (question(query).to_owned(), "as_asked"),
            Reading::AsBefore(before) => (before, "as_before"),
            Reading::FollowUp(by_rules) if rewrites => match self.rewritten(query, place).await {
                Some(by_model) => (by_model, "by_model"),
                None => (by_rules, "by_rules"),
            },
            Reading::FollowUp(by_rules) => (by_rules, "by_rules"),
        };
        self.metrics.questions.with_label_values(&[searched]).inc();
        question
    }

    /// The last message as the author's model rewrites it. None if it fails at that, or takes too long.
    async fn rewritten(&self, query: &Query, place: &Place<'_>) -> Option<String> {
        let patience = PATIENCE.min(time_left(query) / PART);
        let asking = async {
            let _turn = place.turn(patience).await.ok()?;
            let model = self.models.of(&query.author).await.ok()??;
            let reply = async { whole(model.chat(rewriting::request(&query.messages)).await?).await };
            reply.await.inspect_err(|error| debug!(%error, "the question is not rewritten")).ok()
        };
        let reply = tokio::time::timeout(patience, asking).await.ok().flatten()?;
        rewriting::question(&reply.text, &query.messages)
    }

    /// Answers a greeting or thanks, for which nothing is searched and no model is asked.
    pub(crate) async fn be_courteous(
        &self,
        query: &Query,
        way: Way,
        reply: &str,
        asked_at: DateTime<Utc>,
        publisher: &mut Publisher,
    ) -> Result<Ended, LogError> {
        self.metrics.questions.with_label_values(&["nothing"]).inc();
        let (mode, model) = match way {
            Way::Quote => (AnswerMode::Quoted, self.retriever.generation().model.id.to_string()),
            Way::Generate | Way::Refuse => (AnswerMode::Generated, self.models.name_of(&query.author)),
        };
        let timings = StageTimings { queue_ms: queue_ms(asked_at), ..StageTimings::default() };
        let answered = Answered {
            text: reply.to_owned(),
            abstained: false,
            mode,
            citations: Vec::new(),
            model,
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
            timings,
            check: AnswerCheck::default(),
            searched_question: publisher.searched_question(),
        };
        let parts = [
            AnswerPart::Retrieved { passages: Vec::new(), timings },
            AnswerPart::Delta { text: reply.to_owned() },
            AnswerPart::Finished(Box::new(answered)),
        ];
        publisher.publish_all(parts).await?;
        Ok(Ended::Courteous)
    }
}
