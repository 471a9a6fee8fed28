//! The embedder over the real model, index and ledger.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::Utc;
use twin_embedder::{Embedding, rebuild, sweep};
use twin_embedding::Embedder;
use twin_index::{Index, Pair};
use twin_onnx::{EmbedderOptions, OnnxEmbedder, OnnxLoader};
use twin_schemas::{
    Attributes, Category, Chunk, ChunkedDocument, ContentHash, DocumentId, DocumentMeta, Revision, SourceKind, Span,
};
use twin_sqlite::{Database, SqliteVectors, SqliteWarehouse};
use twin_stream::{Handler, Message, Outcome, Position, TopicPartition};
use twin_telemetry::MetricsRegistry;
use twin_vectors::{Filter, Hit, Point, SearchRequest, VectorIndex, VectorStore};
use twin_warehouse::Warehouse;
use uuid::Uuid;

struct Fixture {
    stage: Embedding,
    index: Index,
    embedder: Arc<dyn Embedder>,
    store: SqliteVectors,
    vectors: Arc<dyn VectorIndex>,
    warehouse: Arc<dyn Warehouse>,
    registry: MetricsRegistry,
    _folder: tempfile::TempDir,
}

/// Where `make models` puts the models.
fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cache/llm-twin");
    std::env::var_os("TWIN_CACHE").map_or_else(home, PathBuf::from)
}

fn options() -> EmbedderOptions {
    EmbedderOptions {
        model_dir: cache().join("models/minilm"),
        runtime_library: cache().join("onnxruntime/libonnxruntime.so"),
        sessions: 1,
        ..EmbedderOptions::default()
    }
}

async fn fixture() -> Fixture {
    let registry = MetricsRegistry::new();
    let loader = OnnxLoader::new(options(), &registry).unwrap();
    let embedder: Arc<dyn Embedder> = Arc::new(loader.load_configured().expect("run `make models`"));
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    let store = SqliteVectors::open(database.clone()).await.unwrap();
    let vectors = store.open(embedder.model()).await.unwrap();
    let pair = Pair { embedder: embedder.clone(), vectors: vectors.clone() };
    let index = Index::new(pair, Arc::new(loader));
    let warehouse: Arc<dyn Warehouse> = Arc::new(SqliteWarehouse::open(database).await.unwrap());
    let stage = Embedding::new(index.clone(), warehouse.clone(), &registry).unwrap();
    Fixture { stage, index, embedder, store, vectors, warehouse, registry, _folder: folder }
}

fn id() -> DocumentId {
    DocumentId(Uuid::from_u128(1))
}

fn document(revision: u64, texts: &[&str]) -> ChunkedDocument {
    let meta = DocumentMeta {
        document_id: id(),
        revision: Revision(revision),
        author: "ada".parse().unwrap(),
        category: Category::Article,
        source_kind: SourceKind::push(),
        natural_key: "a".into(),
        title: None,
        url: None,
        published_at: None,
        observed_at: Utc::now(),
        content_hash: ContentHash::stored("sha256:0"),
    };
    let chunks = texts.iter().zip(0..).map(|(text, ordinal)| Chunk {
        ordinal,
        text: (*text).to_owned(),
        span: Span { start: 0, end: 1 },
        token_count: 1,
        heading_path: Vec::new(),
        content_hash: ContentHash::sha256([text.as_bytes()]),
    });
    ChunkedDocument { meta, language: None, chunks: chunks.collect() }
}

/// A deletion where there are no texts.
fn message(revision: u64, texts: Option<&[&str]>) -> Message<ChunkedDocument> {
    Message {
        attributes: Attributes::for_document::<ChunkedDocument>("test", id(), Revision(revision)),
        payload: texts.map(|texts| document(revision, texts)),
        position: Position { partition: TopicPartition { topic: "test".into(), partition: 0 }, offset: 0 },
    }
}

impl Fixture {
    async fn handle(&self, batch: Vec<Message<ChunkedDocument>>) {
        let outcomes = self.stage.handle(batch).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done)), "{outcomes:?}");
    }

    async fn hits(&self) -> Vec<Hit> {
        let vector = self.embedder.embed_query("rivers".to_owned()).await.unwrap();
        let filter = Filter::author("ada".parse().unwrap());
        let request = SearchRequest { filter, vector, text: "rivers".into(), limit: 50, candidates: 50 };
        self.vectors.search(request).await.unwrap()
    }

    async fn revisions(&self) -> Vec<u64> {
        let mut revisions: Vec<u64> = self.hits().await.iter().map(|hit| hit.revision.0).collect();
        revisions.sort_unstable();
        revisions
    }

    async fn ledger(&self) -> (u64, u32) {
        let ledger = self.warehouse.ledger(&[id()]).await.unwrap();
        (ledger[&id()].revision.0, ledger[&id()].chunks)
    }

    fn chunks(&self, vector: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == "twin_index_chunks_total").unwrap();
        let of = |metric: &&prometheus::proto::Metric| metric.get_label().iter().any(|label| label.value() == vector);
        family.get_metric().iter().find(of).map_or(0.0, |metric| metric.get_counter().get_value())
    }
}

const TEN: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

#[tokio::test]
async fn a_document_that_shrinks_leaves_no_chunk_behind_and_unchanged_chunks_keep_their_vectors() {
    let fixture = fixture().await;
    fixture.handle(vec![message(1, Some(&TEN))]).await;
    assert_eq!((fixture.revisions().await.len(), fixture.ledger().await), (10, (1, 10)));
    fixture.handle(vec![message(2, Some(&["one", "new", "two"]))]).await;
    assert_eq!((fixture.revisions().await, fixture.ledger().await), (vec![2, 2, 2], (2, 3)));
    assert_eq!((fixture.chunks("embedded"), fixture.chunks("copied")), (11.0, 2.0));
}

#[tokio::test]
async fn a_repeated_or_older_event_changes_nothing() {
    let fixture = fixture().await;
    fixture.handle(vec![message(3, Some(&["three"]))]).await;
    fixture.handle(vec![message(1, Some(&["one"])), message(2, Some(&["two"])), message(3, Some(&["three"]))]).await;
    assert_eq!((fixture.revisions().await, fixture.ledger().await), (vec![3], (3, 1)));
    assert!((fixture.chunks("embedded") - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn only_the_newest_revision_of_a_batch_is_embedded() {
    let fixture = fixture().await;
    fixture.handle(vec![message(1, Some(&["one"])), message(2, Some(&["two"])), message(3, None)]).await;
    assert_eq!((fixture.revisions().await, fixture.ledger().await), (vec![], (3, 0)));
    fixture.handle(vec![message(4, Some(&["back"]))]).await;
    assert_eq!((fixture.revisions().await, fixture.ledger().await), (vec![4], (4, 1)));
}

#[tokio::test]
async fn what_a_late_consumer_has_left_behind_goes_with_the_next_event() {
    let fixture = fixture().await;
    fixture.handle(vec![message(1, Some(&["one"])), message(2, None)]).await;
    // A consumer that was paused in the middle of revision 1 writes its point after the deletion.
    let late = document(1, &["one"]);
    let vector = fixture.embedder.embed_passages(vec!["one".to_owned()]).await.unwrap().remove(0);
    let point = Point { meta: late.meta.clone(), chunk: late.chunks[0].clone(), vector };
    fixture.vectors.upsert(vec![point]).await.unwrap();
    assert_eq!(fixture.revisions().await, [1]);
    // Its event comes again, since it was not acknowledged.
    fixture.handle(vec![message(1, Some(&["one"]))]).await;
    assert_eq!((fixture.revisions().await, fixture.ledger().await), (vec![], (2, 0)));
}

#[tokio::test]
async fn what_a_consumer_has_left_that_was_killed_before_it_took_it_back_goes_with_the_next_start() {
    let fixture = fixture().await;
    fixture.handle(vec![message(1, Some(&["one"])), message(2, Some(&["two"]))]).await;
    let late = document(1, &["one", "more"]);
    let vectors = fixture.embedder.embed_passages(vec!["one".to_owned(), "more".to_owned()]).await.unwrap();
    let points = late.chunks.iter().zip(vectors);
    let points = points.map(|(chunk, vector)| Point { meta: late.meta.clone(), chunk: chunk.clone(), vector });
    fixture.vectors.upsert(points.collect()).await.unwrap();
    assert_eq!(fixture.revisions().await, [1, 1, 2]);
    assert_eq!(sweep(&fixture.index, &fixture.warehouse).await.unwrap(), 1);
    assert_eq!(fixture.revisions().await, [2]);
    assert_eq!(sweep(&fixture.index, &fixture.warehouse).await.unwrap(), 0, "nothing is left");
    // Of a document that is deleted, too.
    fixture.handle(vec![message(3, None)]).await;
    let vector = fixture.embedder.embed_passages(vec!["one".to_owned()]).await.unwrap().remove(0);
    fixture
        .vectors
        .upsert(vec![Point { meta: late.meta.clone(), chunk: late.chunks[0].clone(), vector }])
        .await
        .unwrap();
    assert_eq!(sweep(&fixture.index, &fixture.warehouse).await.unwrap(), 1);
    assert_eq!((fixture.revisions().await, fixture.ledger().await), (vec![], (3, 0)));
}

#[tokio::test]
async fn the_stage_writes_while_another_model_is_built_and_takes_it_up_after_the_switch() {
    let fixture = fixture().await;
    fixture.handle(vec![message(1, Some(&["one", "two"]))]).await;
    // Another prefix makes another model of the same file.
    let prefixed = EmbedderOptions { passage_prefix: "passage: ".to_owned(), ..options() };
    let second = OnnxEmbedder::load(prefixed, &MetricsRegistry::new()).unwrap();
    let building = fixture.store.prepare(second.model()).await.unwrap().unwrap();
    fixture.handle(vec![message(2, Some(&["one", "new"]))]).await;
    let mut told = Vec::new();
    rebuild(&second, &fixture.store, &building, &mut |filled, all| told.push((filled, all))).await.unwrap();
    assert_eq!(told, [(2, 2)]);

    fixture.handle(vec![message(3, Some(&["one", "newer"]))]).await;
    assert_eq!(fixture.ledger().await, (3, 2));
    let held = fixture.store.open(second.model()).await.unwrap().vectors_of(&[id()]).await.unwrap();
    let texts = ["one", "newer"].map(str::to_owned);
    let expected = second.embed_passages(texts.to_vec()).await.unwrap();
    assert_eq!(held.len(), 2);
    for (text, expected) in texts.iter().zip(expected) {
        let hash = ContentHash::sha256([text.as_bytes()]);
        let vector = &held.iter().find(|held| held.content_hash == hash).unwrap().vector;
        let cosine: f32 = vector.iter().zip(&expected).map(|(left, right)| left * right).sum();
        assert!(cosine > 0.9999, "{text}: {cosine}");
    }
}
