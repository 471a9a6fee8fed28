//! Retrieval over the real embedding model, index and ledger.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::Utc;
use twin_embedding::Embedder;
use twin_index::{Index, Pair};
use twin_inference::{RetrievalOptions, Retriever};
use twin_onnx::{EmbedderOptions, OnnxLoader};
use twin_schemas::{
    AuthorId, Category, Chunk, ContentHash, DocumentKey, DocumentMeta, MediaType, Passage, QueryFilter, Revision,
    SourceKind, Span,
};
use twin_sqlite::{Database, SqliteVectors, SqliteWarehouse};
use twin_telemetry::MetricsRegistry;
use twin_vectors::{Point, VectorIndex, VectorStore};
use twin_warehouse::{LedgerEntry, Observation, Warehouse};

struct Fixture {
    embedder: Arc<dyn Embedder>,
    vectors: Arc<dyn VectorIndex>,
    warehouse: Arc<dyn Warehouse>,
    retriever: Retriever,
    _folder: tempfile::TempDir,
}

/// Where `make models` puts the models.
fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cache/llm-twin");
    std::env::var_os("TWIN_CACHE").map_or_else(home, PathBuf::from)
}

fn ada() -> AuthorId {
    "ada".parse().unwrap()
}

impl Fixture {
    async fn new() -> Self {
        let options = EmbedderOptions {
            model_dir: cache().join("models/minilm"),
            runtime_library: cache().join("onnxruntime/libonnxruntime.so"),
            sessions: 1,
            ..EmbedderOptions::default()
        };
        let loader = OnnxLoader::new(options, &MetricsRegistry::new()).unwrap();
        let embedder: Arc<dyn Embedder> = Arc::new(loader.load_configured().expect("run `make models`"));
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("twin.db")).unwrap();
        let vectors = SqliteVectors::open(database.clone()).await.unwrap().open(embedder.model()).await.unwrap();
        let warehouse = Arc::new(SqliteWarehouse::open(database).await.unwrap());
        let pair = Pair { embedder: embedder.clone(), vectors: vectors.clone() };
        let index = Index::new(pair, Arc::new(loader));
        let retriever = Retriever::new(index, warehouse.clone(), RetrievalOptions::default());
        Self { embedder, vectors, warehouse, retriever, _folder: folder }
    }

    fn key(name: &str) -> DocumentKey {
        DocumentKey { source_kind: SourceKind::push(), author: ada(), scope: String::new(), identity: name.to_owned() }
    }

    /// Records a revision and puts it into the index, not into the ledger.
    async fn index(&self, name: &str, text: &str) -> Revision {
        let observation = Observation {
            key: Self::key(name),
            claim: None,
            category: Category::Article,
            natural_key: name.to_owned(),
            title: None,
            url: None,
            published_at: None,
            media_type: MediaType::Text,
            content: text.to_owned(),
            content_hash: ContentHash::sha256([text.as_bytes()]),
            observed_at: Utc::now(),
        };
        let revision = self.warehouse.record(observation).await.unwrap().revision();
        let document_id = Self::key(name).id();
        let vector = self.embedder.embed_passages(vec![text.to_owned()]).await.unwrap().remove(0);
        let meta = DocumentMeta {
            document_id,
            revision,
            author: ada(),
            category: Category::Article,
            source_kind: SourceKind::push(),
            natural_key: name.to_owned(),
            title: None,
            url: None,
            published_at: None,
            observed_at: Utc::now(),
            content_hash: ContentHash::sha256([text.as_bytes()]),
        };
        let chunk = Chunk {
            ordinal: 0,
            text: text.to_owned(),
            span: Span { start: 0, end: text.len() as u64 },
            token_count: 8,
            heading_path: Vec::new(),
            content_hash: ContentHash::sha256([text.as_bytes()]),
        };
        self.vectors.upsert(vec![Point { meta, chunk, vector }]).await.unwrap();
        revision
    }

    async fn ledger(&self, name: &str, revision: Revision, chunks: u32) {
        let entry = LedgerEntry {
            document_id: Self::key(name).id(),
            revision,
            chunks,
            model: self.embedder.model().id.to_string(),
            indexed_at: Utc::now(),
        };
        self.warehouse.mark_indexed(vec![entry]).await.unwrap();
    }

    async fn found(&self) -> Vec<Passage> {
        let filter = QueryFilter::default();
        self.retriever.retrieve(&ada(), "How is bread baked?", 5, &filter).await.unwrap().passages
    }
}

#[tokio::test]
async fn only_the_revision_that_the_ledger_holds_is_served() {
    let fixture = Fixture::new().await;
    let first = fixture.index("bread", "Bread is baked in a hot oven.").await;
    assert_eq!(fixture.found().await.len(), 0, "an indexed revision is not live before the ledger has it");
    fixture.ledger("bread", first, 1).await;
    assert_eq!(fixture.found().await[0].revision, first);
    // Between the ledger's step and the removal of what is old, both are in the index.
    let second = fixture.index("bread", "Bread is baked under a lid.").await;
    fixture.ledger("bread", second, 1).await;
    let found = fixture.found().await;
    assert_eq!(found.iter().map(|passage| passage.revision).collect::<Vec<_>>(), [second]);
}

#[tokio::test]
async fn nothing_of_a_deleted_document_is_served_even_while_it_is_in_the_index() {
    let fixture = Fixture::new().await;
    let revision = fixture.index("bread", "Bread is baked in a hot oven.").await;
    fixture.ledger("bread", revision, 1).await;
    fixture.warehouse.retract(Fixture::key("bread").id(), Utc::now()).await.unwrap();
    assert_eq!(fixture.found().await, []);
}

#[tokio::test]
async fn a_text_that_two_documents_share_comes_once() {
    let fixture = Fixture::new().await;
    for (name, text) in [("bread", "Bread is baked in a hot oven."), ("copy", "Bread is baked in a hot oven.")] {
        let revision = fixture.index(name, text).await;
        fixture.ledger(name, revision, 1).await;
    }
    let other = fixture.index("rye", "Rye bread is baked longer.").await;
    fixture.ledger("rye", other, 1).await;
    let found = fixture.found().await;
    let mut texts: Vec<&str> = found.iter().map(|passage| passage.text.as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["Bread is baked in a hot oven.", "Rye bread is baked longer."]);
}
