//! A twin of one author that is asked, as the stage is: a query in, the parts of its answer out of the log.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures::TryStreamExt;
use twin_inference::{AnswerOptions, Base, LlmOptions, Loader, Models, Queries, SwitchMetrics, Switcher, Workers};
use twin_schemas::{
    AnswerEvent, AnswerPart, Answered, Attributes, Category, ChatMessage, GatewayId, Query, QueryEvent, QueryFilter,
    QueryKind, RequestId, ResponseFormat, Role, Sampling, Writing, WrittenText,
};
use twin_sqlite::SqliteLog;
use twin_stream::{EventLog, Handler, Message, Outcome, Position, TopicPartition, TopicSpec};
use twin_telemetry::MetricsRegistry;

use super::models::deployed;
use super::{Fixture, ada};

pub struct Asked {
    pub fixture: Fixture,
    log: Arc<SqliteLog>,
    models: Arc<Models>,
    queries: Queries,
}

impl Asked {
    /// A twin that has read these documents.
    pub async fn about(documents: &[(&str, Category, &str)], answers: AnswerOptions, base: Base) -> Self {
        let fixture = Fixture::new(1).await;
        for (name, category, text) in documents {
            fixture.publish(name, *category, text).await;
        }
        let log = Arc::new(SqliteLog::open(fixture.database.clone(), 1 << 20).await.unwrap());
        log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
        let models = Arc::new(Models::new(base, 4));
        let (llm, metrics) = (LlmOptions::default(), MetricsRegistry::new());
        let queries =
            Queries::new(fixture.retriever.clone(), answers, models.clone(), llm, log.clone(), &metrics).unwrap();
        Self { fixture, log, models, queries }
    }

    /// Deploys a version, as a worker takes it up.
    pub async fn deploy(&self, versions: impl Loader + 'static, grounded: bool) {
        let registry = twin_sqlite::registry(self.fixture.database.clone()).await.unwrap();
        deployed(&registry, grounded).await;
        let metrics = SwitchMetrics::new(&MetricsRegistry::new()).unwrap();
        let (log, models) = (self.log.clone(), self.models.clone());
        Switcher::new(registry, log, versions, models, Workers::alone(), metrics).catch_up().await;
    }

    /// The parts of the answer, with those of all queries before it.
    pub async fn parts(&self, query: Query) -> Vec<AnswerPart> {
        let attributes = Attributes::new::<QueryEvent>("gateway", query.request_id.to_string());
        let partition = TopicPartition { topic: "twin.queries.v1".into(), partition: 0 };
        let payload = Some(QueryEvent::Ask(Box::new(query)));
        let message = Message { attributes, payload, position: Position { partition, offset: 0 } };
        let outcomes = self.queries.handle(vec![message]).await;
        assert!(matches!(outcomes[..], [Outcome::Done]), "{outcomes:?}");
        self.published().await
    }

    /// What was published of answers so far.
    pub async fn published(&self) -> Vec<AnswerPart> {
        let partition = TopicPartition { topic: "twin.answers.v1".into(), partition: 0 };
        let records = self.log.records(&partition, 0..u64::MAX).try_collect::<Vec<_>>().await.unwrap();
        let part = |record: twin_stream::Record| {
            let attributes = Attributes::from_headers(&record.headers).unwrap();
            attributes.decode::<AnswerEvent>(&record.value.unwrap()).unwrap().part
        };
        records.into_iter().map(part).collect()
    }

    pub async fn answered(&self, query: Query) -> Answered {
        match self.parts(query).await.pop() {
            Some(AnswerPart::Finished(answered)) => *answered,
            other => panic!("{other:?}"),
        }
    }

    pub async fn written(&self, query: Query) -> WrittenText {
        match self.parts(query).await.pop() {
            Some(AnswerPart::Written(written)) => *written,
            other => panic!("{other:?}"),
        }
    }
}

/// A question.
pub fn query(question: &str) -> Query {
    let query_id = RequestId::new();
    Query {
        request_id: query_id,
        reply_to: GatewayId(query_id.0),
        author: ada(),
        kind: QueryKind::Answer,
        messages: vec![ChatMessage { role: Role::User, content: question.to_owned() }],
        k: 5,
        filter: QueryFilter::default(),
        sampling: Sampling::default(),
        format: ResponseFormat::Text,
        writing: None,
        deadline: Utc::now() + Duration::from_secs(60),
    }
}

/// An order for a text.
pub fn order(instruction: &str, writing: Writing) -> Query {
    Query { kind: QueryKind::Write, writing: Some(writing), ..query(instruction) }
}
