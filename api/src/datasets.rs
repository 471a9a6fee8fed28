//! Dataset versions, and requests to freeze one.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use twin_schemas::AuthorId;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which rows of the learning loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuthorAndLimit {
    /// Only this author's.
    #[param(value_type = Option<String>, example = "ada")]
    pub author: Option<AuthorId>,
    /// At most so many, 1 to 1000; 50 if absent.
    pub limit: Option<u32>,
    /// Those that come after an earlier part of the list: its `next`.
    pub before: Option<String>,
}

/// Dataset versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DatasetList {
    /// Newest first.
    pub datasets: Vec<DatasetView>,
    /// The `before` of the next part of the list; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A dataset version with its manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DatasetDetail {
    /// The version.
    pub dataset: DatasetView,
    /// Its manifest: the options, sources, checks and `files` of the version.
    #[schema(value_type = Object)]
    pub manifest: Value,
}

/// A dataset version: a selection of samples that never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DatasetView {
    /// Its id: the hash of its content, 64 hexadecimal digits.
    pub dataset: String,
    /// Whose.
    #[schema(example = "ada")]
    pub author: String,
    /// Its number among the author's versions, from 1.
    pub number: u32,
    /// The author's version before it.
    pub parent: Option<String>,
    /// The artifact that holds its manifest.
    pub manifest: String,
    /// Samples to train on.
    pub training_samples: u64,
    /// Samples of each kind.
    pub counts: BTreeMap<String, u64>,
    /// Why it was frozen.
    pub reason: String,
    /// When it was frozen.
    pub created_at: DateTime<Utc>,
    /// Documents in it.
    pub documents: u64,
    /// Of these, deleted since: what they taught is still in this version.
    pub deleted_documents: u64,
}

/// What changed from one dataset version to another. What is absent has not changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatasetDiff {
    /// The version compared.
    pub from: String,
    /// The version compared with.
    pub to: String,
    /// Documents that only the second was made of.
    #[serde(default)]
    pub added: Vec<Uuid>,
    /// Documents that only the first was made of.
    #[serde(default)]
    pub removed: Vec<Uuid>,
    /// Documents of which the two read other content.
    #[serde(default)]
    pub changed: Vec<Uuid>,
    /// Documents that are in another split.
    #[serde(default)]
    pub moved: Vec<Uuid>,
    /// Samples of both, where they differ.
    #[serde(default)]
    pub counts: Vec<CountChangeView>,
    /// The options differ.
    #[serde(default)]
    pub options_changed: bool,
    /// They were made by different versions of the code.
    #[serde(default)]
    pub build_changed: bool,
}

/// Samples of a split and kind in two versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountChangeView {
    /// The split: `train`, `validation` or `test`.
    #[schema(example = "train")]
    pub split: String,
    /// The kind: `voice`, `grounded`, `refusal` or `preference`.
    #[schema(example = "voice")]
    pub kind: String,
    /// In the first.
    pub before: u64,
    /// In the second.
    pub after: u64,
}

/// A request to freeze a version now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FreezeView {
    /// Whose dataset.
    pub author: String,
    /// Who asked.
    pub requested_by: String,
    /// When.
    pub requested_at: DateTime<Utc>,
    /// What came of it; null while nobody has answered.
    pub outcome: Option<String>,
    /// Whether no version could be made: `outcome` is then the reason.
    pub refused: bool,
}

/// A version to freeze.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFreeze {
    /// Whose; `gateway.default_author` if absent.
    #[schema(value_type = Option<String>, example = "ada")]
    pub author: Option<AuthorId>,
    /// Who asks, 1 to 100 characters; `unnamed` if absent.
    #[schema(example = "Grace")]
    pub by: Option<String>,
}
