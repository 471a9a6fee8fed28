//! Sources, and how their syncs went.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use twin_schemas::{AuthorId, Category};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::SecretText;
use crate::secret::optional_secrets;

/// A source to register.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSourceRequest {
    /// Whose documents they are.
    #[schema(value_type = String, example = "ada")]
    pub author: AuthorId,
    /// `feed`, `git`, `folder`, `files`; told from the location if absent.
    #[schema(example = "feed")]
    pub kind: Option<String>,
    /// A URL or a path; of uploads, a name: `files:notes`. The home page of a blog stands for the feed that it names.
    #[schema(example = "https://example.org/feed.xml")]
    pub location: String,
    /// What its documents are, where the kind leaves it open: `article`, `post` or `code`. The prose of a git
    /// repository is code unless this says otherwise.
    #[schema(value_type = Option<String>, example = "article")]
    pub category: Option<Category>,
    /// Seconds between syncs, 1 to a year; `crawler.interval_s` if absent.
    pub interval_s: Option<u64>,
    /// What else its kind lets be set: of a feed `user` or `header`, of a git repository `user`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object, example = json!({"user": "ada"}))]
    pub settings: Map<String, Value>,
    /// Its secrets, which are shown nowhere: of a feed `token`, `password` or `header`, of a git repository `token`. Absent:
    /// it keeps those that it has; an empty object takes them away.
    #[serde(default, deserialize_with = "optional_secrets", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, String>>, write_only)]
    pub secrets: Option<BTreeMap<String, SecretText>>,
    /// Register it without a look at whether it can be read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unchecked: bool,
}

/// A registered source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SourceView {
    /// Its id.
    pub id: Uuid,
    /// Whose documents they are.
    pub author: String,
    /// Its kind.
    pub kind: String,
    /// A URL or a path, in its normal form.
    pub location: String,
    /// What its documents are, where the kind leaves it open.
    #[schema(value_type = Option<String>)]
    pub category: Option<Category>,
    /// Seconds between syncs.
    pub interval_s: u64,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When the next sync is due.
    pub next_run_at: DateTime<Utc>,
    /// The next sync may delete as many documents as it finds gone.
    pub deletions_confirmed: bool,
    /// Deletions that wait for `POST /v1/sources/{id}/confirm`.
    pub awaiting_deletions: u64,
    /// How the last sync went; null before the first.
    pub last_sync: Option<SyncView>,
    /// What else is set of it.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
    /// The names of its secrets.
    #[serde(default)]
    pub secrets: Vec<String>,
}

/// How a sync went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SyncView {
    /// `completed`, `failed` (the source could not be read; nothing was deleted) or `awaiting_confirmation` (it would
    /// have deleted more than the brake allows; everything else was done).
    #[schema(value_type = String, example = "completed")]
    pub status: SyncStatus,
    /// Why it failed, and what to do.
    pub reason: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// Documents that the source listed.
    pub seen: u64,
    /// Documents not seen before.
    pub new: u64,
    /// Documents with a new revision.
    pub changed: u64,
    /// Documents deleted.
    pub deleted: u64,
    /// Documents that could not be read, the first 100.
    pub failed: Vec<SyncFailureView>,
    /// How many could not be read in all.
    pub failed_total: u64,
    /// How long it waited for its turns at servers, and because they asked for that, milliseconds.
    #[serde(default)]
    pub waited_ms: u64,
}

/// A document that a sync could not read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SyncFailureView {
    /// The source's own name for it.
    pub natural_key: String,
    /// Why.
    pub reason: String,
}

/// Registered sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SourceList {
    /// By author and location.
    pub sources: Vec<SourceView>,
    /// The `after` of the next part of the list; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SourceFilter {
    /// Only this author's.
    #[param(value_type = Option<String>, example = "ada")]
    pub author: Option<AuthorId>,
    /// At most so many, 1 to 1000; 1000 if absent.
    pub limit: Option<u32>,
    /// Those that come after an earlier part of the list: its `next`.
    pub after: Option<String>,
}

/// What becomes of the documents of a source that is removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DocumentsOfSource {
    /// They stay, and are searched.
    Keep,
    /// They are deleted.
    #[default]
    Delete,
}

/// How to remove a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Removal {
    /// What becomes of its documents; `delete` if absent.
    #[serde(default)]
    #[param(inline)]
    pub documents: DocumentsOfSource,
}

/// A source that was removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Removed {
    /// It.
    pub id: Uuid,
    /// Documents deleted with it.
    pub documents_deleted: u64,
}

/// A sync that is due.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SyncRequested {
    /// The source.
    pub id: Uuid,
    /// The sync may delete as many documents as it finds gone.
    pub deletions_confirmed: bool,
}

/// How a sync ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncStatus {
    /// All of it was done.
    Completed,
    /// The source could not be read; nothing was deleted.
    Failed,
    /// It would have deleted more than the brake allows; everything else was done.
    AwaitingConfirmation,
}

impl SyncStatus {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::AwaitingConfirmation => "awaiting_confirmation",
        }
    }
}

/// What an uploaded file is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FileName {
    /// Its name: one of the same name is replaced.
    #[param(example = "export.zip")]
    pub name: String,
}

/// A file that was uploaded to a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UploadedFileView {
    /// Its name.
    #[schema(example = "export.zip")]
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was uploaded.
    pub uploaded_at: DateTime<Utc>,
}

/// Which uploaded files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UploadedFileFilter {
    /// At most so many, 1 to 1000; 1000 if absent.
    pub limit: Option<u32>,
    /// Those that come after an earlier part of the list: its `next`.
    pub after: Option<String>,
}

/// Files that were uploaded to a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UploadedFileList {
    /// By name.
    pub files: Vec<UploadedFileView>,
    /// The `after` of the next part of the list; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An uploaded file that was removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RemovedFile {
    /// Its name.
    pub name: String,
}
