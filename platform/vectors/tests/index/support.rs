//! Points, and an index to put them into.

use std::sync::Arc;

use chrono::Utc;
use twin_schemas::{AuthorId, Category, Chunk, ContentHash, DocumentId, DocumentMeta, Revision, SourceKind, Span};
use twin_sqlite::{Database, SqliteVectors};
use twin_vectors::{Filter, IndexModel, Point, SearchRequest, VectorIndex};
use uuid::Uuid;

/// A model of this name.
pub fn model(id: &str, dimension: usize) -> IndexModel {
    IndexModel { id: id.to_owned(), dimension, settings: format!("how to load {id}") }
}

pub async fn sqlite(folder: &tempfile::TempDir) -> Arc<dyn VectorIndex> {
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    Arc::new(SqliteVectors::open(database, model("model@1", 3)).await.unwrap())
}

pub fn author(name: &str) -> AuthorId {
    name.parse().unwrap()
}

pub fn document(number: u128) -> DocumentId {
    DocumentId(Uuid::from_u128(number))
}

/// A unit vector in the plane, at this angle from the first axis.
pub fn at(degrees: f32) -> Vec<f32> {
    vec![degrees.to_radians().cos(), degrees.to_radians().sin(), 0.0]
}

pub fn point(name: &str, number: u128, revision: u64, ordinal: u32, text: &str, vector: Vec<f32>) -> Point {
    let meta = DocumentMeta {
        document_id: document(number),
        revision: Revision(revision),
        author: author(name),
        category: Category::Article,
        source_kind: SourceKind::new("folder"),
        natural_key: format!("notes/{number}.md"),
        title: Some(format!("Note {number}")),
        url: None,
        published_at: None,
        observed_at: Utc::now(),
        content_hash: ContentHash::stored("sha256:0"),
    };
    let chunk = Chunk {
        ordinal,
        text: text.into(),
        span: Span { start: 0, end: text.len() as u64 },
        token_count: 3,
        heading_path: vec!["Part".into()],
        content_hash: ContentHash::sha256([text.as_bytes()]),
    };
    Point { meta, chunk, vector }
}

pub fn request(filter: Filter, vector: Vec<f32>, text: &str) -> SearchRequest {
    SearchRequest { filter, vector, text: text.into(), limit: 10, candidates: 10 }
}

pub async fn found(index: &dyn VectorIndex, request: SearchRequest) -> Vec<(u128, u64, u32)> {
    let hits = index.search(request).await.unwrap();
    hits.iter().map(|hit| (hit.document_id.0.as_u128(), hit.revision.0, hit.ordinal)).collect()
}
