//! Vectors that are asked for, beside those of the index.

mod common;

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use common::{Fixture, key};
use futures::TryStreamExt;
use twin_inference::{AnswerOptions, Base, LlmOptions, Models, Queries};
use twin_schemas::{
    AnswerEvent, AnswerPart, Attributes, Category, EmbedQuery, Embedded, EmbeddingInput, FailureKind, GatewayId,
    QueryEvent, RequestId,
};
use twin_sqlite::SqliteLog;
use twin_stream::{EventLog, Handler, Message, Outcome, Position, TopicPartition, TopicSpec};
use twin_telemetry::MetricsRegistry;

struct Asked {
    fixture: Fixture,
    log: Arc<SqliteLog>,
    queries: Queries,
}

impl Asked {
    async fn new() -> Self {
        let fixture = Fixture::new(1).await;
        let log = Arc::new(SqliteLog::open(fixture.database.clone(), 1 << 20).await.unwrap());
        log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
        let models = Arc::new(Models::new(Base::Absent, 4));
        let (answers, llm, metrics) = (AnswerOptions::default(), LlmOptions::default(), MetricsRegistry::new());
        let queries = Queries::new(fixture.retriever.clone(), answers, models, llm, log.clone(), &metrics).unwrap();
        Self { fixture, log, queries }
    }

    /// The parts of the answer to this query.
    async fn parts(&self, query: EmbedQuery) -> Vec<AnswerPart> {
        let request_id = query.request_id;
        let attributes = Attributes::new::<QueryEvent>("gateway", request_id.to_string());
        let partition = TopicPartition { topic: "twin.queries.v1".into(), partition: 0 };
        let payload = Some(QueryEvent::Embed(Box::new(query)));
        let message = Message { attributes, payload, position: Position { partition, offset: 0 } };
        let outcomes = self.queries.handle(vec![message]).await;
        assert!(matches!(outcomes[..], [Outcome::Done]), "{outcomes:?}");
        let partition = TopicPartition { topic: "twin.answers.v1".into(), partition: 0 };
        let records = self.log.records(&partition, 0..u64::MAX).try_collect::<Vec<_>>().await.unwrap();
        let event = |record: twin_stream::Record| {
            let attributes = Attributes::from_headers(&record.headers).unwrap();
            attributes.decode::<AnswerEvent>(&record.value.unwrap()).unwrap()
        };
        let events = records.into_iter().map(event).filter(|event| event.request_id == request_id);
        events.map(|event| event.part).collect()
    }

    async fn vectors(&self, query: EmbedQuery) -> (Vec<Vec<f32>>, Embedded) {
        let mut parts = self.parts(query).await;
        let Some(AnswerPart::Embedded(end)) = parts.pop() else { panic!("{parts:?}") };
        let mut all = Vec::new();
        for part in parts {
            let AnswerPart::Vectors { first, vectors } = part else { panic!("{part:?}") };
            assert_eq!(first as usize, all.len());
            all.extend(vectors);
        }
        (all, end)
    }
}

fn query(texts: &[&str]) -> EmbedQuery {
    let request_id = RequestId::new();
    EmbedQuery {
        request_id,
        reply_to: GatewayId(request_id.0),
        texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        input: EmbeddingInput::Passage,
        model: None,
        dimensions: None,
        deadline: Utc::now() + Duration::from_secs(60),
    }
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[tokio::test]
async fn the_vector_of_a_text_is_the_one_that_the_index_has_of_it() {
    let asked = Asked::new().await;
    let text = "The hive survived the frost because I wrapped it in wool.";
    asked.fixture.publish("hive.md", Category::Article, text).await;
    let stored = asked.fixture.vectors.vectors_of(&[key("hive.md").id()]).await.unwrap();
    let (vectors, end) = asked.vectors(query(&["Something else.", text])).await;
    assert_eq!(stored.len(), 1);
    assert!(difference(&vectors[1], &stored[0].vector) < 1e-4);
    assert_eq!((end.model.as_str(), end.tokens > 10), ("minilm@759c3cd2b7fe", true));
    let question = "How does a hive survive?";
    let (vectors, _) = asked.vectors(EmbedQuery { input: EmbeddingInput::Query, ..query(&[question]) }).await;
    let found = asked.fixture.found(question, 1).await;
    assert!(difference(&vectors[0], &found.question) < 1e-4, "a question's is the one that is searched with");
}

#[tokio::test]
async fn many_vectors_come_in_several_events_and_in_order() {
    let asked = Asked::new().await;
    let texts: Vec<String> = (0..200).map(|number| format!("Text {number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let parts = asked.parts(query(&texts)).await;
    assert_eq!(parts.len(), 4, "200 vectors of 384 numbers in three parts, and the end");
    let (vectors, _) = asked.vectors(query(&texts)).await;
    let (last, _) = asked.vectors(query(&texts[199..])).await;
    assert!(vectors.len() == 200 && difference(&vectors[199], &last[0]) < 1e-4);
}

#[tokio::test]
async fn what_the_model_can_not_do_is_refused_with_what_to_do() {
    let asked = Asked::new().await;
    let long = "word ".repeat(300);
    for (wrong, part) in [
        (query(&["short", &long]), "input[1] has 302 tokens, and the embedding model reads 256"),
        (EmbedQuery { dimensions: Some(100), ..query(&["x"]) }, "vectors of 384 numbers"),
        (EmbedQuery { model: Some("other".into()), ..query(&["x"]) }, "model must be \"minilm\""),
    ] {
        match asked.parts(wrong).await.as_slice() {
            [AnswerPart::Failed { kind: FailureKind::Invalid, message }] => {
                assert!(message.contains(part), "{message}")
            }
            other => panic!("{other:?}"),
        }
    }
    for good in [
        EmbedQuery { dimensions: Some(384), ..query(&["x"]) },
        EmbedQuery { model: Some("minilm".into()), ..query(&["x"]) },
        EmbedQuery { model: Some("minilm@759c3cd2b7fe".into()), ..query(&["x"]) },
    ] {
        assert_eq!(asked.vectors(good).await.0.len(), 1);
    }
}
