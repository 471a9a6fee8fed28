//! How far everything is.

use serde::{Deserialize, Serialize};
use twin_schemas::AuthorId;
use utoipa::{IntoParams, ToSchema};

use crate::SourceView;

/// Whose status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatusFilter {
    /// Totals, pending documents and sources of this author only.
    #[param(value_type = Option<String>, example = "ada")]
    pub author: Option<AuthorId>,
}

/// How far everything is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// Version of this program.
    pub version: String,
    /// Every part of this process can do its job.
    pub ready: bool,
    /// Each part of this process.
    pub parts: Vec<PartView>,
    /// Documents.
    pub totals: TotalsView,
    /// Documents whose newest revision is neither indexed, rejected nor dead-lettered. 0: everything that was
    /// collected is searchable or has a reason not to be.
    pub pending: u64,
    /// How far each stage is behind its topic.
    pub stages: Vec<StageLag>,
    /// The first 1000 sources, by author and location.
    pub sources: Vec<SourceView>,
    /// The `after` with which `GET /v1/sources` lists the other sources; absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources_next: Option<String>,
}

/// A part of this process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PartView {
    /// Its name.
    pub part: String,
    /// It can do its job.
    pub ready: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// Numbers of documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TotalsView {
    /// Not deleted.
    pub documents: u64,
    /// Of these, with a revision that is searched.
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

/// How far a stage is behind its topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StageLag {
    /// The stage.
    pub stage: String,
    /// Its consumer group.
    pub group: String,
    /// The topic that it reads.
    pub topic: String,
    /// Offsets between what it has committed and the end of the topic: at least as many as there are records to read,
    /// since compaction leaves gaps.
    pub lag: u64,
}
