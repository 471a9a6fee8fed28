//! The stage, on the real tokenizer and an embedded warehouse.

mod common;

use std::sync::Arc;

use common::{document, tokenizer};
use twin_chunker::{Chunker, Error, Options};
use twin_schemas::{Attributes, Category, ChunkedDocument, CleanedDocument, DocumentId, Revision};
use twin_sqlite::{Database, SqliteWarehouse};
use twin_stream::{Handler, Message, NewEvent, Outcome, Position, TopicPartition};
use twin_telemetry::{MetricsRegistry, gather_text};
use twin_warehouse::{ProgressState, StageName, Warehouse};

struct Fixture {
    chunker: Chunker,
    warehouse: Arc<dyn Warehouse>,
    database: Database,
    registry: MetricsRegistry,
    _folder: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    let warehouse = Arc::new(SqliteWarehouse::open(database.clone()).await.unwrap());
    let registry = MetricsRegistry::new();
    let chunker =
        Chunker::new(Options::default(), Arc::new(tokenizer().clone()), warehouse.clone(), &registry).unwrap();
    Fixture { chunker, warehouse, database, registry, _folder: folder }
}

fn message(document: Option<CleanedDocument>, id: DocumentId, revision: Revision) -> Message<CleanedDocument> {
    let mut attributes = Attributes::for_document::<CleanedDocument>("cleaner", id, revision);
    attributes.trace_parent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    let partition = TopicPartition { topic: "twin.documents.cleaned.v1".into(), partition: 0 };
    let position = Position { partition, offset: 0 };
    Message { attributes, payload: document, position }
}

fn of(document: CleanedDocument) -> Message<CleanedDocument> {
    let (id, revision) = (document.meta.document_id, document.meta.revision);
    message(Some(document), id, revision)
}

/// The one event of an outcome.
fn emitted(outcome: Outcome) -> NewEvent {
    let Outcome::Emit(mut events) = outcome else { panic!("{outcome:?}") };
    assert_eq!(events.len(), 1);
    events.remove(0)
}

#[tokio::test]
async fn a_cleaned_document_becomes_one_event_with_all_its_chunks() {
    let fixture = fixture().await;
    let cleaned = document(Category::Article, &"Events are kept in order. ".repeat(200));
    let event = emitted(fixture.chunker.handle(vec![of(cleaned.clone())]).await.remove(0));
    assert_eq!(event.topic, "twin.documents.chunked.v1");
    assert_eq!(event.key, cleaned.meta.document_id.to_string());
    assert_eq!(event.attributes.source, "/twin/chunker");
    assert_eq!(event.attributes.document().unwrap(), (cleaned.meta.document_id, Revision::FIRST));
    assert!(event.attributes.trace_parent.is_some(), "the trace goes on");
    let chunked: ChunkedDocument = event.attributes.decode(&event.value.unwrap()).unwrap();
    assert_eq!((&chunked.meta, &chunked.language), (&cleaned.meta, &cleaned.language));
    assert!(chunked.chunks.len() > 3);
    assert_eq!(chunked.chunks.iter().map(|chunk| chunk.text.as_str()).collect::<String>(), cleaned.text);
    let metrics = gather_text(&fixture.registry).unwrap();
    let line = format!("twin_chunker_chunks_total{{category=\"article\"}} {}", chunked.chunks.len());
    assert!(metrics.contains(&line) && metrics.contains("twin_chunker_seconds_count 1"), "{metrics}");
}

#[tokio::test]
async fn a_document_of_white_space_gives_an_event_without_chunks_so_that_old_ones_go() {
    let event = emitted(fixture().await.chunker.handle(vec![of(document(Category::Post, " \n "))]).await.remove(0));
    let chunked: ChunkedDocument = event.attributes.decode(&event.value.unwrap()).unwrap();
    assert!(chunked.chunks.is_empty());
}

#[tokio::test]
async fn a_deletion_is_passed_on() {
    let fixture = fixture().await;
    let id = document(Category::Post, "gone").meta.document_id;
    let event = emitted(fixture.chunker.handle(vec![message(None, id, Revision(7))]).await.remove(0));
    assert_eq!((event.topic.as_str(), event.value.as_ref()), ("twin.documents.chunked.v1", None));
    assert_eq!(event.attributes.document().unwrap(), (id, Revision(7)));
    assert_eq!(fixture.warehouse.progress(id).await.unwrap()[0].revision, Revision(7));
}

#[tokio::test]
async fn every_event_of_a_batch_has_its_outcome_in_order_and_its_progress_noted() {
    let fixture = fixture().await;
    let cleaned = document(Category::Post, "A short post.");
    let id = cleaned.meta.document_id;
    let mut nameless = of(cleaned.clone());
    nameless.attributes.revision = None;
    let outcomes = fixture.chunker.handle(vec![nameless, of(cleaned)]).await;
    assert!(matches!(&outcomes[0], Outcome::Dead(reason) if reason.class == "decode"), "{outcomes:?}");
    assert!(matches!(&outcomes[1], Outcome::Emit(_)), "{outcomes:?}");
    let progress = fixture.warehouse.progress(id).await.unwrap();
    assert_eq!(progress.len(), 1);
    assert_eq!((progress[0].stage, &progress[0].state), (StageName::Chunked, &ProgressState::Done));
}

#[tokio::test]
async fn without_the_warehouse_nothing_is_emitted_and_the_event_comes_again() {
    let fixture = fixture().await;
    let drop_table = |tx: &twin_sqlite::rusqlite::Connection| Ok(tx.execute_batch("DROP TABLE progress")?);
    fixture.database.write::<_, twin_sqlite::Error, _>(drop_table).await.unwrap();
    let outcomes = fixture.chunker.handle(vec![of(document(Category::Post, "A short post."))]).await;
    assert!(matches!(&outcomes[0], Outcome::Retry(reason) if reason.class == "warehouse"), "{outcomes:?}");
}

#[tokio::test]
async fn options_that_can_not_work_are_refused_at_the_start() {
    let fixture = fixture().await;
    let options = Options { max_tokens: 1, ..Options::default() };
    let made = Chunker::new(options, Arc::new(tokenizer().clone()), fixture.warehouse.clone(), &MetricsRegistry::new());
    assert!(matches!(made.err(), Some(Error::Option { key: "max_tokens", .. })));
}
