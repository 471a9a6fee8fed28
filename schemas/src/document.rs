//! A document on its way from a source to the index: raw, cleaned, chunked.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::envelope::Payload;
use crate::ids::{AuthorId, Category, ContentHash, DocumentId, Revision, SourceKind};
use crate::topics::Topic;

/// What every stage knows of a document's revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DocumentMeta {
    /// The document.
    pub document_id: DocumentId,
    /// Its revision.
    pub revision: Revision,
    /// Whose it is.
    pub author: AuthorId,
    /// What it is.
    pub category: Category,
    /// Where it came from.
    pub source_kind: SourceKind,
    /// The source's own name for it: a relative path, a feed item's guid, the key given when pushed.
    pub natural_key: String,
    /// Its title, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where a person can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When the author published it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<DateTime<Utc>>,
    /// When this revision was first seen.
    pub observed_at: DateTime<Utc>,
    /// Hash of what the source gave.
    pub content_hash: ContentHash,
}

/// How the content of a raw document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MediaType {
    /// A whole HTML page or a fragment.
    Html,
    /// Markdown (CommonMark with tables).
    Markdown,
    /// Plain text, source code included.
    Text,
}

impl MediaType {
    /// The name used in events and stores, and for hashing.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Markdown => "markdown",
            Self::Text => "text",
        }
    }
}

/// A document as collected. Written by the crawler and the push endpoint, read by the cleaner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RawDocument {
    /// Identity and origin.
    #[serde(flatten)]
    pub meta: DocumentMeta,
    /// How `content` is written.
    pub media_type: MediaType,
    /// The content as the source gave it, decoded to Unicode.
    pub content: String,
}

impl Payload for RawDocument {
    const TYPE: &'static str = "twin.document.raw.v1";
    const TOPIC: Topic = Topic::DocumentsRaw;
}

/// A document whose text is fit to be read by people and models. Written by the cleaner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CleanedDocument {
    /// Identity and origin.
    #[serde(flatten)]
    pub meta: DocumentMeta,
    /// Markdown-like text (articles and posts) or the source text itself (code).
    pub text: String,
    /// ISO 639-3 code of the text's natural language, where it could be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Programming language of code, by its path: `rust`, `python`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_language: Option<String>,
}

impl Payload for CleanedDocument {
    const TYPE: &'static str = "twin.document.cleaned.v1";
    const TOPIC: Topic = Topic::DocumentsCleaned;
}

/// A range of bytes of a cleaned document's text, end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

/// A piece of a document that fits the embedder's window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chunk {
    /// Position among the document's chunks, from 0.
    pub ordinal: u32,
    /// The text of `span`, exactly.
    pub text: String,
    /// Where it stands in the cleaned text. The spans of all chunks, in order, cover it without gaps.
    pub span: Span,
    /// Length in the embedder's tokens, without special tokens.
    pub token_count: u32,
    /// The headings above it, outermost first; for code, the enclosing items.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heading_path: Vec<String>,
    /// Hash of `text`: an unchanged chunk keeps its vector.
    pub content_hash: ContentHash,
}

/// All chunks of one revision, so that a document is replaced as a whole. Written by the chunker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChunkedDocument {
    /// Identity and origin.
    #[serde(flatten)]
    pub meta: DocumentMeta,
    /// ISO 639-3 code of the text's natural language, where it could be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The chunks, by ordinal.
    pub chunks: Vec<Chunk>,
}

impl Payload for ChunkedDocument {
    const TYPE: &'static str = "twin.document.chunked.v1";
    const TOPIC: Topic = Topic::DocumentsChunked;
}
