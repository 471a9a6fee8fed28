//! An author's documents in a real index and ledger, with the real embedding model.
#![allow(dead_code)] // Each file of tests uses a part of it.

pub mod asked;
pub mod models;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::Utc;
use twin_embedding::{Embedder, Tokenizer};
use twin_index::{Index, Pair};
use twin_inference::{RetrievalOptions, Retrieved, Retriever};
use twin_onnx::{EmbedderOptions, HuggingFaceTokenizer, OnnxLoader};
use twin_schemas::{
    AuthorId, Category, Chunk, CleanedDocument, ContentHash, DocumentId, DocumentKey, DocumentMeta, MediaType,
    QueryFilter, RawDocument, Revision, SourceKind, Span,
};
use twin_sqlite::{Database, SqliteVectors, SqliteWarehouse};
use twin_telemetry::MetricsRegistry;
use twin_vectors::{Point, VectorIndex, VectorStore};
use twin_warehouse::{LedgerEntry, Observation, Warehouse};

pub struct Fixture {
    pub embedder: Arc<dyn Embedder>,
    pub vectors: Arc<dyn VectorIndex>,
    pub warehouse: Arc<dyn Warehouse>,
    pub database: Database,
    pub retriever: Retriever,
    pub folder: tempfile::TempDir,
}

/// Where `make models` puts the models.
fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cache/llm-twin");
    std::env::var_os("TWIN_CACHE").map_or_else(home, PathBuf::from)
}

pub fn ada() -> AuthorId {
    "ada".parse().unwrap()
}

pub fn key(name: &str) -> DocumentKey {
    DocumentKey { source_kind: SourceKind::push(), author: ada(), scope: String::new(), identity: name.to_owned() }
}

impl Fixture {
    /// With so many sessions of the embedding model.
    pub async fn new(sessions: usize) -> Self {
        let options = EmbedderOptions {
            model_dir: cache().join("models/minilm"),
            runtime_library: cache().join("onnxruntime/libonnxruntime.so"),
            sessions,
            ..EmbedderOptions::default()
        };
        let loader = OnnxLoader::new(options, &MetricsRegistry::new()).unwrap();
        let embedder: Arc<dyn Embedder> = Arc::new(loader.load_configured().expect("run `make models`"));
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("twin.db")).unwrap();
        let vectors = SqliteVectors::open(database.clone()).await.unwrap().open(embedder.model()).await.unwrap();
        let warehouse = Arc::new(SqliteWarehouse::open(database.clone()).await.unwrap());
        let pair = Pair { embedder: embedder.clone(), vectors: vectors.clone() };
        let index = Index::new(pair, Arc::new(loader));
        let retriever = Retriever::new(index, warehouse.clone(), RetrievalOptions::default());
        Self { embedder, vectors, warehouse, database, retriever, folder }
    }

    /// Records a revision and puts it into the index as one chunk, not into the ledger.
    pub async fn index(&self, name: &str, text: &str) -> Revision {
        let meta = self.record(key(name), Category::Article, text).await;
        let revision = meta.revision;
        let chunk = Chunk {
            ordinal: 0,
            text: text.to_owned(),
            span: Span { start: 0, end: text.len() as u64 },
            token_count: 8,
            heading_path: Vec::new(),
            content_hash: ContentHash::sha256([text.as_bytes()]),
        };
        self.upsert(&meta, vec![chunk]).await;
        revision
    }

    pub async fn ledger(&self, name: &str, revision: Revision, chunks: u32) {
        self.live(key(name).id(), revision, chunks).await;
    }

    async fn live(&self, document_id: DocumentId, revision: Revision, chunks: u32) {
        let entry = LedgerEntry {
            document_id,
            revision,
            chunks,
            model: self.embedder.model().id.to_string(),
            indexed_at: Utc::now(),
        };
        self.warehouse.mark_indexed(vec![entry]).await.unwrap();
    }

    /// Makes a document searchable as the stages do: cleaned, cut into chunks, embedded, live.
    pub async fn publish(&self, name: &str, category: Category, text: &str) -> CleanedDocument {
        self.publish_of(&ada(), name, category, text).await
    }

    /// As [`Fixture::publish`], another author's.
    pub async fn publish_of(&self, author: &AuthorId, name: &str, category: Category, text: &str) -> CleanedDocument {
        let key = DocumentKey { author: author.clone(), ..key(name) };
        let meta = self.record(key, category, text).await;
        let raw = RawDocument { meta, media_type: MediaType::Markdown, content: text.to_owned() };
        let cleaned = twin_cleaner::clean(&raw, &twin_cleaner::Options::default()).unwrap();
        let chunks = twin_chunker::chunk(&cleaned, &tokenizer(), &twin_chunker::Options::default()).unwrap();
        let count = chunks.len() as u32;
        self.upsert(&cleaned.meta, chunks).await;
        self.live(cleaned.meta.document_id, cleaned.meta.revision, count).await;
        cleaned
    }

    pub async fn found(&self, question: &str, k: usize) -> Retrieved {
        self.retriever.retrieve(&ada(), question, k, &QueryFilter::default()).await.unwrap()
    }

    async fn record(&self, key: DocumentKey, category: Category, text: &str) -> DocumentMeta {
        let natural_key = key.identity.clone();
        let observation = Observation {
            key: key.clone(),
            claim: None,
            category,
            natural_key: natural_key.clone(),
            title: None,
            url: None,
            published_at: None,
            media_type: MediaType::Markdown,
            content: text.to_owned(),
            content_hash: ContentHash::sha256([text.as_bytes()]),
            observed_at: Utc::now(),
        };
        let revision = self.warehouse.record(observation).await.unwrap().revision();
        DocumentMeta {
            document_id: key.id(),
            revision,
            author: key.author,
            category,
            source_kind: SourceKind::push(),
            natural_key,
            title: None,
            url: None,
            published_at: None,
            observed_at: Utc::now(),
            content_hash: ContentHash::sha256([text.as_bytes()]),
        }
    }

    async fn upsert(&self, meta: &DocumentMeta, chunks: Vec<Chunk>) {
        let texts = chunks.iter().map(|chunk| chunk.text.clone()).collect();
        let vectors = self.embedder.embed_passages(texts).await.unwrap();
        let point = |(chunk, vector)| Point { meta: meta.clone(), chunk, vector };
        self.vectors.upsert(chunks.into_iter().zip(vectors).map(point).collect()).await.unwrap();
    }
}

fn tokenizer() -> impl Tokenizer {
    HuggingFaceTokenizer::from_file(&cache().join("models/minilm/tokenizer.json")).unwrap()
}
