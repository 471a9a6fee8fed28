//! Points, models and questions.

use std::sync::Arc;

use chrono::Utc;
use twin_embedding::{EmbeddingModel, EmbeddingModelId};
use twin_schemas::{AuthorId, Category, Chunk, ContentHash, DocumentId, DocumentMeta, Revision, SourceKind, Span};
use uuid::Uuid;

use super::Place;
use crate::{Filter, Point, SearchRequest, VectorIndex};

/// A model with this name, which is its content too.
pub fn model(name: &str, dimension: usize) -> EmbeddingModel {
    EmbeddingModel { id: EmbeddingModelId::new(name, name), dimension, settings: format!("how to load {name}") }
}

/// A handle for vectors of the model `first`, `[3]`.
pub async fn first_index(place: &dyn Place) -> Arc<dyn VectorIndex> {
    place.process().await.open(&model("first", 3)).await.unwrap()
}

/// An author.
pub fn author(name: &str) -> AuthorId {
    name.parse().unwrap()
}

/// Everything of the author `ada`.
pub fn ada() -> Filter {
    Filter::author(author("ada"))
}

/// A document's id.
pub fn document(number: u128) -> DocumentId {
    DocumentId(Uuid::from_u128(number))
}

/// A unit vector in the plane, at this angle from the first axis, `[3]`.
pub fn at(degrees: f32) -> Vec<f32> {
    vec![degrees.to_radians().cos(), degrees.to_radians().sin(), 0.0]
}

/// A chunk of an article with its vector.
pub fn point(author_name: &str, number: u128, revision: u64, ordinal: u32, text: &str, vector: Vec<f32>) -> Point {
    let meta = DocumentMeta {
        document_id: document(number),
        revision: Revision(revision),
        author: author(author_name),
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

/// A question for ten hits.
pub fn request(filter: Filter, vector: Vec<f32>, text: &str) -> SearchRequest {
    SearchRequest { filter, vector, text: text.into(), limit: 10, candidates: 10 }
}

/// Document, revision and ordinal of each hit, best first.
pub async fn found(index: &dyn VectorIndex, request: SearchRequest) -> Vec<(u128, u64, u32)> {
    let hits = index.search(request).await.unwrap();
    hits.iter().map(|hit| (hit.document_id.0.as_u128(), hit.revision.0, hit.ordinal)).collect()
}
