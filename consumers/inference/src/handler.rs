use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::Utc;
use tokio_util::sync::CancellationToken;
use tracing::info;
use twin_schemas::{Query, QueryEvent, RequestId};
use twin_stream::{EventLog, Handler, Message, Outcome};
use twin_telemetry::{MetricError, MetricsRegistry};

use crate::answer::{Answerer, Ended};
use crate::metrics::Metrics;
use crate::models::Models;
use crate::options::{AnswerOptions, LlmOptions};
use crate::publisher::Publisher;
use crate::retrieve::Retriever;

/// The inference stage. It runs unordered: queries have nothing to do with each other, and a cancellation must not
/// wait behind the query that it is for.
pub struct Queries {
    answerer: Answerer,
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
        let answerer = Answerer::new(retriever, answers, models, options, metrics.clone());
        Ok(Self { answerer, log, metrics, under_way: Mutex::default() })
    }

    async fn ask(&self, query: Query, message: &Message<QueryEvent>) -> Outcome {
        if query.deadline <= Utc::now() {
            // Nobody waits any more: the gateway has answered with a time-out.
            self.metrics.queries.with_label_values(&["expired"]).inc();
            return Outcome::Done;
        }
        let cancelled = self.begin(query.request_id);
        let mut publisher = Publisher::new(self.log.clone(), query.clone(), message.attributes.clone());
        let ended = tokio::select! {
            ended = self.answerer.answer(&query, message.attributes.time, &mut publisher) => ended,
            () = cancelled.cancelled() => Ok(Ended::Cancelled),
        };
        self.end(query.request_id);
        match ended {
            Ok(ended) => {
                self.metrics.queries.with_label_values(&[ended.as_str()]).inc();
                info!(request_id = %query.request_id, author = %query.author, outcome = ended.as_str(), "query ended");
                Outcome::Done
            }
            Err(error) if error.is_transient() => Outcome::wait("log", error),
            Err(error) => Outcome::retry("log", error),
        }
    }

    fn begin(&self, request_id: RequestId) -> CancellationToken {
        let token = CancellationToken::new();
        self.locked().insert(request_id, token.clone());
        token
    }

    fn end(&self, request_id: RequestId) {
        self.locked().remove(&request_id);
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
