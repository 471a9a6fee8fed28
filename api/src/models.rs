//! Model versions, their files and evaluations, and what they came from.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use twin_schemas::Verdict;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{DatasetView, DecisionView, JobView, PlanView};

/// Model versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelVersionList {
    /// Newest first.
    pub model_versions: Vec<ModelVersionView>,
    /// The `before` of the next part of the list; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A model version, its evaluation and what was decided about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelVersionDetail {
    /// The model version.
    pub model: ModelVersionView,
    /// Its evaluation; null before one was queued.
    pub evaluation: Option<EvaluationView>,
    /// What was decided about it, newest first.
    pub decisions: Vec<DecisionView>,
    /// What its training was, and which samples that left out; null of versions that did not say so.
    #[serde(default)]
    pub plan: Option<PlanView>,
}

/// The model versions that learned from a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaughtModels {
    /// The document.
    pub document_id: Uuid,
    /// Names of model versions, oldest first.
    pub models: Vec<String>,
}

/// A version of an author's model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelVersionView {
    /// Its name.
    #[schema(example = "ada-v3")]
    pub model: String,
    /// Whose.
    #[schema(example = "ada")]
    pub author: String,
    /// Its number among the author's, from 1.
    pub number: u32,
    /// The job that made it.
    pub job: String,
    /// The dataset version that it was trained on.
    pub dataset: String,
    /// The base model's fingerprint.
    pub base: String,
    /// The artifact that holds its manifest.
    pub manifest: String,
    /// `trained`, `evaluated`, `approved` or `rejected`.
    #[schema(value_type = String, example = "evaluated")]
    pub state: ModelVersionState,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// What its evaluation says: `passed`, `failed` or `inconclusive`; null before there is one.
    #[schema(value_type = Option<String>, example = "passed")]
    pub verdict: Option<Verdict>,
    /// It answers for its author now, or is about to.
    pub in_production: bool,
}

/// The evaluation of a model version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EvaluationView {
    /// The model version.
    pub model: String,
    /// `queued`, `running`, `done` or `failed`.
    #[schema(value_type = String, example = "done")]
    pub state: EvaluationState,
    /// Why it failed.
    pub reason: Option<String>,
    /// How often it was started.
    pub attempts: u32,
    /// `passed`, `failed` or `inconclusive`.
    #[schema(value_type = Option<String>, example = "passed")]
    pub verdict: Option<Verdict>,
    /// Its answers from passages were measured, and are good enough to be given: under `answers.mode = "auto"` the twin
    /// then writes answers with it where it would quote.
    pub grounded: bool,
    /// The model version that it was compared with when it was begun; null: the base model.
    #[serde(default)]
    pub against: Option<String>,
    /// How many evaluations were held against that, this one included: the more, the more is asked for. 0: not begun, or not
    /// known.
    #[serde(default)]
    pub look: u32,
    /// The artifact that holds the report as JSON.
    pub report: Option<String>,
    /// The artifact that holds the report as a page.
    pub page: Option<String>,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A document that taught a model version. What it is called is that of its newest revision, as the twin knows it; a
/// deleted document keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaughtDocumentView {
    /// The document.
    pub document_id: Uuid,
    /// The revision that was taught.
    pub revision: u64,
    /// Its title.
    pub title: Option<String>,
    /// The source's own name for it; null: this twin does not know the document.
    pub natural_key: Option<String>,
    /// Where a person can read it.
    pub url: Option<String>,
    /// It is deleted now.
    pub deleted: bool,
    /// When the document was deleted, if it was since; it may have come back.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// Which documents of a lineage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LineageFilter {
    /// At most so many, 1 to 1000; 1000 if absent.
    pub limit: Option<u32>,
    /// Those that come after an earlier part of the list: its `next`.
    pub after: Option<String>,
}

/// Everything that a model version came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineageView {
    /// The model version.
    pub model: ModelVersionView,
    /// The job that made it, with its recipe, base model and code version.
    pub job: JobView,
    /// What it was trained on.
    pub dataset: DatasetView,
    /// The documents that taught it, by id: those of the dataset version's train split.
    pub documents: Vec<TaughtDocumentView>,
    /// Whether it is known which documents are in the train split. If not (the dataset version is of an earlier version of the
    /// program, and its manifest can not be read), `documents` are all of the dataset version's.
    #[serde(default)]
    pub split_known: bool,
    /// The `after` of the next part of the documents; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The files of a model version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelFileList {
    /// The model version.
    pub model: String,
    /// `adapter/…` is the PEFT adapter, `merged/…` the model that any engine loads, `loss.csv`, `loss.json` and `loss.svg`
    /// are the losses, and `manifest.json` says what all of it was made of.
    pub files: Vec<ModelFileView>,
}

/// A file of a model version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelFileView {
    /// Its path, with `/` between names.
    #[schema(example = "adapter/adapter_model.safetensors")]
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its content, 64 hexadecimal digits.
    pub sha256: String,
}

/// How far a model version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelVersionState {
    /// It waits for its evaluation.
    Trained,
    /// It waits for a decision.
    Evaluated,
    /// It may serve.
    Approved,
    /// It never serves.
    Rejected,
}

impl ModelVersionState {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trained => "trained",
            Self::Evaluated => "evaluated",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

/// Where an evaluation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationState {
    /// Waits for its turn.
    Queued,
    /// Under way.
    Running,
    /// Ended, with a report.
    Done,
    /// Ended without; `reason` says why.
    Failed,
}

impl EvaluationState {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}
