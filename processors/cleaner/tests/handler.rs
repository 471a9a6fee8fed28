//! The stage over a real warehouse.

mod support;

use std::sync::Arc;

use support::raw;
use twin_cleaner::{Cleaner, Options};
use twin_schemas::{Attributes, Category, CleanedDocument, MediaType, Payload, RawDocument, Topic};
use twin_sqlite::{Database, SqliteWarehouse};
use twin_stream::{Handler, Message, NewEvent, Outcome, Position, TopicPartition};
use twin_telemetry::{MetricsRegistry, gather_text};
use twin_warehouse::{ProgressState, StageName, Warehouse};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

struct Stage {
    cleaner: Cleaner,
    warehouse: Arc<dyn Warehouse>,
    registry: MetricsRegistry,
    _folder: tempfile::TempDir,
}

async fn stage(options: Options) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    let warehouse = Arc::new(SqliteWarehouse::open(database).await.unwrap());
    let registry = MetricsRegistry::new();
    let cleaner = Cleaner::new(options, warehouse.clone(), &registry).unwrap();
    Stage { cleaner, warehouse, registry, _folder: folder }
}

fn message(document: &RawDocument, is_tombstone: bool) -> Message<RawDocument> {
    let (id, revision) = (document.meta.document_id, document.meta.revision);
    let mut attributes = Attributes::for_document::<RawDocument>("crawler", id, revision);
    attributes.trace_parent = Some(TRACE.into());
    let partition = TopicPartition { topic: Topic::DocumentsRaw.name().into(), partition: 0 };
    let payload = (!is_tombstone).then(|| document.clone());
    Message { attributes, payload, position: Position { partition, offset: 0 } }
}

fn emitted(outcome: &Outcome) -> &NewEvent {
    match outcome {
        Outcome::Emit(events) if events.len() == 1 => &events[0],
        other => panic!("one event expected: {other:?}"),
    }
}

impl Stage {
    async fn state_of(&self, document: &RawDocument) -> Option<ProgressState> {
        let progress = self.warehouse.progress(document.meta.document_id).await.unwrap();
        progress.into_iter().find(|note| note.stage == StageName::Cleaned).map(|note| note.state)
    }
}

#[tokio::test]
async fn a_batch_comes_out_in_order_with_its_progress_and_metrics() {
    let stage = stage(Options { threads: 2, ..Options::default() }).await;
    let good = raw(Category::Article, MediaType::Markdown, "a.md", "# A\n\nSome text.");
    let bad = raw(Category::Post, MediaType::Text, "b", "Just a moment... Enable JavaScript and cookies to continue");
    let gone = raw(Category::Code, MediaType::Text, "c.rs", "");
    let code = raw(Category::Code, MediaType::Text, "d.rs", "fn d() {}\n");
    let batch = vec![message(&good, false), message(&bad, false), message(&gone, true), message(&code, false)];
    let outcomes = stage.cleaner.handle(batch).await;

    let event = emitted(&outcomes[0]);
    assert_eq!(
        (event.topic.as_str(), event.key.clone()),
        (Topic::DocumentsCleaned.name(), good.meta.document_id.to_string())
    );
    assert_eq!(event.attributes.trace_parent.as_deref(), Some(TRACE));
    let cleaned: CleanedDocument = serde_json::from_slice(event.value.as_deref().unwrap()).unwrap();
    assert_eq!((cleaned.text.as_str(), cleaned.meta.title.as_deref()), ("# A\n\nSome text.", Some("A")));

    assert!(matches!(outcomes[1], Outcome::Done));
    let tombstone = emitted(&outcomes[2]);
    assert_eq!((tombstone.value.as_ref(), tombstone.attributes.event_type.as_str()), (None, CleanedDocument::TYPE));
    assert_eq!(tombstone.key, gone.meta.document_id.to_string());
    assert!(emitted(&outcomes[3]).value.is_some());

    assert_eq!(stage.state_of(&good).await, Some(ProgressState::Done));
    let rejected = stage.state_of(&bad).await;
    assert!(
        matches!(&rejected, Some(ProgressState::Rejected { reason }) if reason.starts_with("challenge: ")),
        "{rejected:?}"
    );

    let metrics = gather_text(&stage.registry).unwrap();
    for line in [
        "twin_cleaner_documents_total{category=\"article\",outcome=\"cleaned\"} 1",
        "twin_cleaner_documents_total{category=\"post\",outcome=\"rejected\"} 1",
        "twin_cleaner_documents_total{category=\"unknown\",outcome=\"deleted\"} 1",
        "twin_cleaner_rejections_total{reason=\"challenge\"} 1",
        "twin_cleaner_rejections_total{reason=\"login\"} 0",
        "twin_cleaner_seconds_count 3",
        "twin_cleaner_abandoned_threads 0",
    ] {
        assert!(metrics.contains(line), "{line} is missing in:\n{metrics}");
    }
}

#[tokio::test]
async fn a_document_past_its_deadline_is_rejected_as_too_slow() {
    let stage = stage(Options { deadline_ms: 1, threads: 1, ..Options::default() }).await;
    let slow = raw(Category::Article, MediaType::Html, "slow", &"<p>some text</p>".repeat(100_000));
    let outcomes = stage.cleaner.handle(vec![message(&slow, false)]).await;
    assert!(matches!(outcomes[0], Outcome::Done), "{outcomes:?}");
    let state = stage.state_of(&slow).await;
    assert!(
        matches!(&state, Some(ProgressState::Rejected { reason }) if reason.starts_with("too_slow: ")),
        "{state:?}"
    );
}

#[tokio::test]
async fn what_the_warehouse_can_not_note_is_handled_again() {
    let stage = stage(Options::default()).await;
    let good = raw(Category::Post, MediaType::Text, "a", "hello there");
    let folder = stage._folder.path().join("twin.db");
    let other = twin_sqlite::rusqlite::Connection::open(folder).unwrap();
    let tables: Vec<String> = other
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%progress%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(!tables.is_empty());
    for table in tables {
        other.execute_batch(&format!("DROP TABLE \"{table}\"")).unwrap();
    }
    let outcomes = stage.cleaner.handle(vec![message(&good, false)]).await;
    assert!(matches!(&outcomes[0], Outcome::Retry(reason) if reason.class == "warehouse"), "{outcomes:?}");
}

#[tokio::test]
async fn a_tombstone_that_names_no_document_is_dead() {
    let stage = stage(Options::default()).await;
    let mut nameless = message(&raw(Category::Post, MediaType::Text, "a", ""), true);
    nameless.attributes.subject = "nobody".into();
    let outcomes = stage.cleaner.handle(vec![nameless]).await;
    assert!(matches!(&outcomes[0], Outcome::Dead(reason) if reason.class == "decode"), "{outcomes:?}");
}
