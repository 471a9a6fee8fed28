use chrono::{DateTime, Utc};
use twin_embedding::EmbeddingModel;
use twin_schemas::{AuthorId, Category, Chunk, ContentHash, DocumentId, DocumentMeta, Revision, SourceKind};

/// A chunk and its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The document revision that it belongs to.
    pub meta: DocumentMeta,
    /// The chunk.
    pub chunk: Chunk,
    /// Its vector, of unit length, `[dimension]`.
    pub vector: Vec<f32>,
}

/// A vector that the index holds, by the hash of the text that it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredVector {
    /// Hash of the chunk's text.
    pub content_hash: ContentHash,
    /// The vector, `[dimension]`.
    pub vector: Vec<f32>,
}

/// What to search among.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// Whose documents.
    pub author: AuthorId,
    /// Only this category.
    pub category: Option<Category>,
    /// Only this kind of source.
    pub source_kind: Option<SourceKind>,
    /// Published at or after.
    pub published_after: Option<DateTime<Utc>>,
    /// Published before.
    pub published_before: Option<DateTime<Utc>>,
}

impl Filter {
    /// Everything of an author.
    pub fn author(author: AuthorId) -> Self {
        Self { author, category: None, source_kind: None, published_after: None, published_before: None }
    }
}

/// A hybrid search.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRequest {
    /// What to search among.
    pub filter: Filter,
    /// The question's vector, of unit length, `[dimension]`.
    pub vector: Vec<f32>,
    /// The question's text.
    pub text: String,
    /// Hits wanted, at most.
    pub limit: usize,
    /// Candidates taken from each of the two searches before fusion, at least `limit`.
    pub candidates: usize,
}

/// A chunk found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The document.
    pub document_id: DocumentId,
    /// The revision that the chunk belongs to; the searcher checks that it is live.
    pub revision: Revision,
    /// The chunk's position in the document.
    pub ordinal: u32,
    /// The source's own name for the document.
    pub natural_key: String,
    /// Title of the document.
    pub title: Option<String>,
    /// Where a person can read it.
    pub url: Option<String>,
    /// What it is.
    pub category: Category,
    /// Headings above the chunk.
    pub heading_path: Vec<String>,
    /// The chunk's text.
    pub text: String,
    /// Cosine similarity to the question, -1 to 1.
    pub similarity: f32,
    /// The fused score that hits are ordered by.
    pub fused: f64,
}

/// In how many of an author's chunks words are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frequencies {
    /// All of the author's chunks.
    pub chunks: u64,
    /// Of these, how many have each word in title, headings or text, in the order of the words; counted up to
    /// [`FREQUENT`].
    pub having: Vec<u64>,
}

/// A word that so many chunks of an author have is frequent: how many more have it is not counted.
pub const FREQUENT: u64 = 4_000;

/// A chunk of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampledChunk {
    /// The document.
    pub document_id: DocumentId,
    /// The revision that the chunk belongs to; whoever uses it checks that it is live.
    pub revision: Revision,
    /// The document's own name at its source: a path, a number.
    pub natural_key: String,
    /// Title of the document.
    pub title: Option<String>,
    /// Its category.
    pub category: Category,
    /// Headings above the chunk.
    pub heading_path: Vec<String>,
    /// The chunk's text.
    pub text: String,
}

/// What the index holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexInfo {
    /// The embedding model of its vectors.
    pub model: EmbeddingModel,
    /// Chunks.
    pub points: u64,
}

/// Which point of an index. Keys have an order, the same in every store, which says nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PointKey {
    /// The document.
    pub document_id: DocumentId,
    /// Its revision.
    pub revision: Revision,
    /// The chunk's position in it.
    pub ordinal: u32,
}

/// A chunk that has no vector yet in the generation that is being built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingChunk {
    /// Which chunk.
    pub key: PointKey,
    /// Hash of its text: a vector of another text is not for it.
    pub content_hash: ContentHash,
    /// Its text.
    pub text: String,
}

/// How far a generation is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// Chunks that have a vector.
    pub filled: u64,
    /// All chunks.
    pub chunks: u64,
}

impl Coverage {
    /// Whether every chunk has a vector.
    pub fn is_complete(self) -> bool {
        self.filled == self.chunks
    }
}
