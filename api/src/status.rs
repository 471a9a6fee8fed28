//! How far everything is.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use twin_schemas::AuthorId;
use utoipa::{IntoParams, ToSchema};

use crate::SourceView;

/// Whose status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatusFilter {
    /// Totals, pending documents, sources and threshold of this author only.
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
    /// From which score on questions are answered, for the first 1000 authors for whom that was measured, by name.
    pub thresholds: Vec<ThresholdView>,
    /// `retrieval.min_score`, where it is set: it goes before the thresholds, and none is measured.
    pub min_score: Option<f32>,
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

/// From which score on an author's questions are answered, and how often that was wrong of questions of which it is known.
/// A score is the cosine similarity of question and best passage, and 0.3 times the share of the question's words,
/// weighed by how rare they are, that the best five passages have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ThresholdView {
    /// Whose.
    #[schema(value_type = String, example = "ada")]
    pub author: AuthorId,
    /// Questions with a lower score are refused; 0 to 1.3.
    pub threshold: f32,
    /// `measured`: it was chosen by as many questions as are counted below, which are others. `shipped`: too few could be made of what the author has published.
    #[schema(value_type = String, example = "measured")]
    pub basis: ThresholdBasis,
    /// Questions made of the author's texts, which these answer: each one that is refused is lost.
    pub answerable: RefusalsView,
    /// The same questions where the document that each was made of is left out.
    pub left_out: RefusalsView,
    /// General questions on other fields.
    pub general: RefusalsView,
    /// When it was measured.
    pub measured_at: DateTime<Utc>,
}

/// Where a threshold is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdBasis {
    /// It was chosen by questions.
    Measured,
    /// It is the one that is shipped.
    Shipped,
}

/// How many of some questions were refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusalsView {
    /// Questions.
    pub asked: u32,
    /// Of these, refused.
    pub refused: u32,
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
