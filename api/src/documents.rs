//! Documents: pushed, listed, shown with how far they have come.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use twin_schemas::{AuthorId, Category, MediaType};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::Problem;

/// A document to push.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushRequest {
    /// Whose it is.
    #[schema(value_type = String, example = "ada")]
    pub author: AuthorId,
    /// `article`, `post` or `code`.
    #[schema(value_type = String, example = "article")]
    pub category: Category,
    /// Your own name for it, unique for the author: pushing it again revises the document. 1 to 1024 characters, none of
    /// them a control character.
    #[schema(example = "2026/parsers.md")]
    pub natural_key: String,
    /// Its title; up to 1024 characters.
    pub title: Option<String>,
    /// Where a person can read it: an http or https URL.
    #[schema(example = "https://example.org/parsers")]
    pub url: Option<String>,
    /// Plain text or source code. Exactly one of `text`, `markdown` and `html` is there.
    pub text: Option<String>,
    /// Markdown.
    pub markdown: Option<String>,
    /// An HTML page or fragment.
    pub html: Option<String>,
    /// When the author published it.
    pub published_at: Option<DateTime<Utc>>,
}

/// What pushing or deleting a document did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pushed {
    /// The document.
    pub document_id: Uuid,
    /// Its newest revision.
    pub revision: u64,
    /// What changed.
    pub change: Change,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// A document not seen before, or one that comes back after a deletion.
    Created,
    /// A new revision.
    Revised,
    /// A deletion.
    Deleted,
    /// Nothing.
    Unchanged,
}

/// What became of the lines of an upload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    /// Documents created or revised.
    pub accepted: u64,
    /// Documents that were there as they are.
    pub unchanged: u64,
    /// Lines that were refused, in order.
    pub failed: Vec<LineProblem>,
    /// The documents accepted or unchanged, in no particular order.
    pub documents: Vec<Pushed>,
}

/// A line that was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineProblem {
    /// Which line, from 1.
    pub line: u64,
    /// Why.
    pub problem: Problem,
}

/// What a push is answered with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum PushAnswer {
    /// Of one document.
    One(Pushed),
    /// Of many.
    Many(Upload),
}

/// Which documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListFilter {
    /// Only this author's.
    #[param(value_type = Option<String>, example = "ada")]
    pub author: Option<AuthorId>,
    /// Only with this URL.
    pub url: Option<String>,
    /// At most so many, 1 to 1000; 100 if absent.
    pub limit: Option<u32>,
    /// Those that come after an earlier part of the list: its `next`.
    pub before: Option<String>,
}

/// Documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DocumentList {
    /// Newest change first. A document that changes while the list is read in parts moves to its beginning.
    pub documents: Vec<DocumentSummary>,
    /// The `before` of the next part of the list; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DocumentSummary {
    /// Its id.
    pub document_id: Uuid,
    /// Its newest revision.
    pub revision: u64,
    /// The revision that is searched; null: none is.
    pub live_revision: Option<u64>,
    /// Its author.
    pub author: String,
    /// `article`, `post` or `code`.
    #[schema(value_type = String, example = "article")]
    pub category: Category,
    /// The kind of its source; `push` for one that was pushed.
    pub source_kind: String,
    /// The registered source; null for one that was pushed.
    pub source_id: Option<Uuid>,
    /// The source's own name for it.
    pub natural_key: String,
    /// Its title.
    pub title: Option<String>,
    /// Where a person can read it.
    pub url: Option<String>,
    /// When the author published it.
    pub published_at: Option<DateTime<Utc>>,
    /// When its newest revision was first seen.
    pub observed_at: DateTime<Utc>,
    /// Hash of what the source gave.
    pub content_hash: String,
    /// Its newest revision is a deletion.
    pub deleted: bool,
}

/// A document, and how far it has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DocumentView {
    /// What is known of it.
    #[serde(flatten)]
    pub summary: DocumentSummary,
    /// How `content` is written.
    #[schema(value_type = String, example = "markdown")]
    pub media_type: MediaType,
    /// The content of the newest revision, as the source gave it; empty once deleted.
    pub content: String,
    /// Some revision of it is searched.
    pub searchable: bool,
    /// Why its newest revision is not searched; null if it is.
    pub reason: Option<String>,
    /// How far its newest revision has come.
    pub stages: Vec<StageView>,
}

/// A stage, and what it did with the newest revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StageView {
    /// `collected`, `published`, `cleaned`, `chunked` or `indexed`.
    #[schema(example = "cleaned")]
    pub stage: String,
    /// `done`, `rejected`, `dead`, `pending`, or `not_reached` after a rejection or a dead letter.
    pub state: StageState,
    /// When.
    pub at: Option<DateTime<Utc>>,
    /// Why it was rejected or dead-lettered.
    pub reason: Option<String>,
}

/// What a stage did with a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageState {
    /// It went on to the next.
    Done,
    /// The content is not fit to be searched.
    Rejected,
    /// The event is in the dead-letter topic.
    Dead,
    /// It is on its way to this stage.
    Pending,
    /// An earlier stage ended its way.
    NotReached,
}

impl Change {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Revised => "revised",
            Self::Deleted => "deleted",
            Self::Unchanged => "unchanged",
        }
    }
}

impl StageState {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::Dead => "dead",
            Self::Pending => "pending",
            Self::NotReached => "not_reached",
        }
    }
}
