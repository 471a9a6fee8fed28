use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use tracing::info;
use twin_schemas::{AuthorId, EmbedQuery, GatewayId, Query, QueryEvent, RequestId};
use twin_stream::{Error as LogError, EventLog, Handler, Message, Outcome};
use twin_telemetry::{MetricError, MetricsRegistry};

use crate::answer::{Answerer, Ended};
use crate::embed::Embeddings;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::options::{AnswerOptions, LlmOptions};
use crate::publisher::Publisher;
use crate::retrieve::Retriever;

/// The inference stage. It runs unordered: queries have nothing to do with each other, and a cancellation must not
/// wait behind the query that it is for.
pub struct Queries {
    answerer: Answerer,
    embeddings: Embeddings,
    log: Arc<dyn EventLog>,
    metrics: Arc<Metrics>,
    under_way: Mutex<HashMap<RequestId, CancellationToken>>,
}

impl Queries {
    /// A stage that retrieves with `retriever`, and quotes or writes with the author's model.
    pub fn new(
        retriever: Retriever,
        answers: AnswerOptions,
        models: Arc<Models>,
        options: LlmOptions,
        log: Arc<dyn EventLog>,
        registry: &MetricsRegistry,
    ) -> Result<Self, MetricError> {
        let metrics = Arc::new(Metrics::new(registry)?);
        let embeddings = Embeddings::new(retriever.clone());
        let answerer = Answerer::new(retriever, answers, models, options, metrics.clone());
        Ok(Self { answerer, embeddings, log, metrics, under_way: Mutex::default() })
    }

    async fn ask(&self, query: Query, message: &Message<QueryEvent>) -> Outcome {
        let Some(mut publisher) = self.publisher(query.request_id, query.reply_to, query.deadline, message) else {
            return Outcome::Done;
        };
        let cancelled = self.begin(query.request_id);
        let ended = tokio::select! {
            ended = self.answerer.answer(&query, message.attributes.time, &mut publisher) => ended,
            () = cancelled.cancelled() => Ok(Ended::Cancelled),
        };
        self.end(query.request_id, Some(&query.author), ended)
    }

    async fn embed(&self, query: EmbedQuery, message: &Message<QueryEvent>) -> Outcome {
        let Some(mut publisher) = self.publisher(query.request_id, query.reply_to, query.deadline, message) else {
            return Outcome::Done;
        };
        let cancelled = self.begin(query.request_id);
        let ended = tokio::select! {
            ended = self.embeddings.embed(&query, message.attributes.time, &mut publisher) => ended,
            () = cancelled.cancelled() => Ok(Ended::Cancelled),
        };
        self.end(query.request_id, None, ended)
    }

    /// What publishes the answer. None if nobody waits any more: the gateway has answered with a time-out.
    fn publisher(
        &self,
        request_id: RequestId,
        reply_to: GatewayId,
        deadline: DateTime<Utc>,
        message: &Message<QueryEvent>,
    ) -> Option<Publisher> {
        if deadline <= Utc::now() {
            self.metrics.queries.with_label_values(&["expired"]).inc();
            return None;
        }
        Some(Publisher::new(self.log.clone(), request_id, reply_to, message.attributes.clone()))
    }

    fn begin(&self, request_id: RequestId) -> CancellationToken {
        let token = CancellationToken::new();
        self.locked().insert(request_id, token.clone());
        token
    }

    fn end(&self, request_id: RequestId, author: Option<&AuthorId>, ended: Result<Ended, LogError>) -> Outcome {
        self.locked().remove(&request_id);
        match ended {
            Ok(ended) => {
                self.metrics.queries.with_label_values(&[ended.as_str()]).inc();
                let author = author.map(AuthorId::as_str);
                info!(%request_id, author, outcome = ended.as_str(), "query ended");
                Outcome::Done
            }
            Err(error) if error.is_transient() => Outcome::wait("log", error),
            Err(error) => Outcome::retry("log", error),
        }
    }

    fn cancel(&self, request_id: RequestId) {
        if let Some(token) = self.locked().get(&request_id) {
            token.cancel();
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<RequestId, CancellationToken>> {
        self.under_way.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[async_trait]
impl Handler for Queries {
    type Input = QueryEvent;

    async fn handle(&self, batch: Vec<Message<QueryEvent>>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for message in batch {
            outcomes.push(match &message.payload {
                Some(QueryEvent::Ask(query)) => self.ask((**query).clone(), &message).await,
                Some(QueryEvent::Embed(query)) => self.embed((**query).clone(), &message).await,
                Some(QueryEvent::Cancel { request_id }) => {
                    self.cancel(*request_id);
                    Outcome::Done
                }
                None => Outcome::dead("decode", "a query is never a tombstone"),
            });
        }
        outcomes
    }
}
