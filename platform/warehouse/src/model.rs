//! The rows.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use twin_schemas::{
    AuthorId, Category, ContentHash, DocumentId, DocumentKey, DocumentMeta, MediaType, RawDocument, Revision, SourceId,
    SourceKind,
};

/// What a source or a push says of a document, now.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Its identity.
    pub key: DocumentKey,
    /// The sync that saw it; none for a pushed document.
    pub claim: Option<Claim>,
    /// What it is.
    pub category: Category,
    /// The source's own name for it, shown to people.
    pub natural_key: String,
    /// Title.
    pub title: Option<String>,
    /// Where a person can read it.
    pub url: Option<String>,
    /// When the author published it.
    pub published_at: Option<DateTime<Utc>>,
    /// How `content` is written.
    pub media_type: MediaType,
    /// The content, decoded to Unicode.
    pub content: String,
    /// Hash of everything above that should make a new revision when it changes.
    pub content_hash: ContentHash,
    /// When it was seen.
    pub observed_at: DateTime<Utc>,
}

/// What an observation changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// The content is that of the newest revision.
    Unchanged(Revision),
    /// A document not seen before, or one that comes back after a deletion.
    Created(Revision),
    /// A new revision of a known document.
    Revised(Revision),
}

impl Recorded {
    /// The document's newest revision after the observation.
    pub fn revision(self) -> Revision {
        match self {
            Self::Unchanged(revision) | Self::Created(revision) | Self::Revised(revision) => revision,
        }
    }
}

/// A document at its newest revision.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentRow {
    /// Identity and origin; `revision` is the newest.
    pub meta: DocumentMeta,
    /// The registered source; none for a pushed document.
    pub source_id: Option<SourceId>,
    /// How `content` is written.
    pub media_type: MediaType,
    /// The content of the newest revision; empty once deleted.
    pub content: String,
    /// The newest revision is a deletion.
    pub deleted: bool,
    /// The newest revision is in the log.
    pub published: bool,
}

impl DocumentRow {
    /// The event payload of the newest revision; none for a deletion.
    pub fn payload(&self) -> Option<RawDocument> {
        (!self.deleted).then(|| RawDocument {
            meta: self.meta.clone(),
            media_type: self.media_type,
            content: self.content.clone(),
        })
    }
}

/// What a source's earlier sync left: enough to tell changed from unchanged without the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The document.
    pub document_id: DocumentId,
    /// The source's own name for it.
    pub natural_key: String,
    /// The identity within the source's scope.
    pub identity: String,
    /// The hash of its newest revision.
    pub content_hash: ContentHash,
}

/// Which documents to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DocumentFilter {
    /// Only this author's.
    pub author: Option<AuthorId>,
    /// Only with this URL.
    pub url: Option<String>,
}

/// A position in a list of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentPosition {
    /// When its newest revision was recorded, by the clock of the process that did. Lists and the outbox go by it; nothing
    /// is decided by it.
    pub changed_at: DateTime<Utc>,
    /// The document.
    pub document_id: DocumentId,
}

/// An author, of whom there is or was a source or a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorRow {
    /// The author.
    pub author: AuthorId,
    /// When the first source was registered or the first document seen.
    pub first_seen_at: DateTime<Utc>,
}

/// A source to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSource {
    /// For whom.
    pub author: AuthorId,
    /// Which kind.
    pub kind: SourceKind,
    /// The path or URL.
    pub location: String,
    /// What its documents are, where the kind leaves it open.
    pub category: Option<Category>,
    /// Seconds between syncs.
    pub interval_s: u64,
    /// What else its kind lets be set: an object, or null for nothing.
    pub settings: serde_json::Value,
    /// The names of its secrets, to be shown. The secrets are apart ([`crate::Sources::secrets`]).
    pub secret_names: Vec<String>,
}

/// A file that was uploaded to a source, to be read by its next sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedFile {
    /// The source.
    pub source_id: SourceId,
    /// Its name: one that is uploaded under the same name replaces it.
    pub name: String,
    /// The artifact that holds its content.
    pub artifact: String,
    /// Its length.
    pub bytes: u64,
    /// When it was uploaded.
    pub uploaded_at: DateTime<Utc>,
}

/// What became of an uploaded file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileStored {
    /// It is stored, the first of its name.
    New,
    /// It is stored in the place of the one of its name.
    Replaced,
    /// It is not: the source is not registered, or is being removed.
    NotRegistered,
    /// It is not: the source has as many files as it may have, and none of its name.
    Full,
}

/// What entitles a sync, or a removal, to write for a source: the fence of all its writes. It is worth nothing any more
/// when another has claimed the source, or the source was removed or registered anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The source.
    pub source_id: SourceId,
    /// Which registration of the source it is of.
    pub generation: u64,
    /// The epoch of the lease with which it was claimed.
    pub epoch: u64,
    /// How many syncs had been asked for until then: one that is asked for later still comes.
    pub requests: u64,
}

/// A registered source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRow {
    /// Its id.
    pub id: SourceId,
    /// As registered.
    pub source: NewSource,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// What the source wants to remember between syncs: validators, a commit. Opaque here.
    pub cursor: serde_json::Value,
    /// How the last sync went.
    pub last_sync: Option<LastSync>,
    /// When the next is due.
    pub next_run_at: DateTime<Utc>,
    /// The next sync may delete as many documents as it finds gone (`twin sources confirm`).
    pub deletions_confirmed: bool,
}

/// A position in a list of sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcePosition {
    /// Whose.
    pub author: AuthorId,
    /// The path or URL.
    pub location: String,
    /// The source.
    pub source_id: SourceId,
}

impl SourceRow {
    /// Where it stands in a list.
    pub fn position(&self) -> SourcePosition {
        let NewSource { author, location, .. } = &self.source;
        SourcePosition { author: author.clone(), location: location.clone(), source_id: self.id }
    }
}

/// How a sync went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastSync {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// How it ended.
    pub outcome: SyncOutcome,
    /// Documents that the source listed.
    pub seen: u64,
    /// Documents not seen before.
    pub new: u64,
    /// Documents with a new revision.
    pub changed: u64,
    /// Documents deleted.
    pub deleted: u64,
    /// Documents that could not be read: the first 100.
    pub failed: Vec<SyncFailure>,
    /// How many could not be read in all.
    pub failed_total: u64,
    /// How long it waited for its turns at servers, and because they asked for that, milliseconds.
    #[serde(default)]
    pub waited_ms: u64,
}

/// How a sync ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum SyncOutcome {
    /// Everything listed was looked at.
    Completed,
    /// The source could not be read; nothing was deleted.
    Failed {
        /// Why, and what to do.
        reason: String,
    },
    /// It would have deleted this many of the author's documents: more than the brake allows. Everything else was
    /// done.
    AwaitingConfirmation {
        /// Documents found gone.
        deletions: u64,
    },
}

/// One document that a sync could not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncFailure {
    /// The source's own name for it.
    pub natural_key: String,
    /// Why.
    pub reason: String,
}

/// What the index holds of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The document.
    pub document_id: DocumentId,
    /// The newest revision that the index holds, a deletion included.
    pub revision: Revision,
    /// Chunks of it.
    pub chunks: u32,
    /// The embedding model that made its vectors when it was indexed; `twin reindex` leaves this as it is.
    pub model: String,
    /// When it was indexed.
    pub indexed_at: DateTime<Utc>,
}

/// The stages that a document passes, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageName {
    /// Recorded in the warehouse.
    Collected,
    /// In the log.
    Published,
    /// Through the cleaner.
    Cleaned,
    /// Through the chunker.
    Chunked,
    /// Searchable (or, for a deletion, out of the index).
    Indexed,
}

impl StageName {
    /// The name used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Collected => "collected",
            Self::Published => "published",
            Self::Cleaned => "cleaned",
            Self::Chunked => "chunked",
            Self::Indexed => "indexed",
        }
    }
}

/// What a stage did with a revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The document.
    pub document_id: DocumentId,
    /// Its revision.
    pub revision: Revision,
    /// Which stage.
    pub stage: StageName,
    /// What it did.
    pub state: ProgressState,
    /// When.
    pub at: DateTime<Utc>,
}

/// What a stage did with a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ProgressState {
    /// It went on to the next.
    Done,
    /// The content is not fit to be searched: this is the end of this revision, and an earlier one stays.
    Rejected {
        /// Why.
        reason: String,
    },
    /// The event is in the dead-letter topic.
    Dead {
        /// Why.
        reason: String,
    },
}

/// Totals of an author, or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Documents not deleted.
    pub documents: u64,
    /// Of these, with a searchable revision.
    pub searchable: u64,
    /// Of these, whose newest revision was rejected.
    pub rejected: u64,
    /// Of these, whose newest revision is dead-lettered.
    pub dead: u64,
    /// On their way.
    pub pending: u64,
    /// Chunks in the index.
    pub chunks: u64,
}
