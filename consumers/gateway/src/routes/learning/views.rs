//! Datasets and jobs, as they are shown.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use twin_registry::{DatasetRow, FreezeRequest, JobProgress, JobRow, JobState, Metric};
use utoipa::ToSchema;

/// A dataset version: a selection of samples that never changes.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DatasetView {
    /// Its id: the hash of its content, 64 hexadecimal digits.
    dataset: String,
    /// Whose.
    #[schema(example = "ada")]
    author: String,
    /// Its number among the author's versions, from 1.
    number: u32,
    /// The author's version before it.
    parent: Option<String>,
    /// The artifact that holds its manifest.
    manifest: String,
    /// Samples to train on.
    training_samples: u64,
    /// Samples of each kind.
    counts: BTreeMap<String, u64>,
    /// Why it was frozen.
    reason: String,
    /// When it was frozen.
    created_at: DateTime<Utc>,
    /// Documents in it.
    documents: u64,
    /// Of these, deleted since: what they taught is still in this version.
    deleted_documents: u64,
}

impl From<DatasetRow> for DatasetView {
    fn from(row: DatasetRow) -> Self {
        Self {
            dataset: row.dataset.0,
            author: row.author.to_string(),
            number: row.number,
            parent: row.parent.map(|parent| parent.0),
            manifest: row.manifest,
            training_samples: row.training_samples,
            counts: row.counts,
            reason: row.reason,
            created_at: row.created_at,
            documents: row.documents,
            deleted_documents: row.deleted_documents,
        }
    }
}

/// A request to freeze a version now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FreezeView {
    /// Whose dataset.
    author: String,
    /// Who asked.
    requested_by: String,
    /// When.
    requested_at: DateTime<Utc>,
    /// What came of it; null while nobody has answered.
    outcome: Option<String>,
    /// Whether no version could be made: `outcome` is then the reason.
    refused: bool,
}

impl From<FreezeRequest> for FreezeView {
    fn from(row: FreezeRequest) -> Self {
        let FreezeRequest { author, requested_by, requested_at, outcome, refused } = row;
        Self { author: author.to_string(), requested_by, requested_at, outcome, refused }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStateView {
    /// Waits for its turn.
    Queued,
    /// Under way.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly; `reason` says why. Can be tried again.
    Failed,
    /// Somebody stopped it. Can be tried again.
    Cancelled,
}

impl From<JobState> for JobStateView {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Queued => Self::Queued,
            JobState::Running => Self::Running,
            JobState::Succeeded => Self::Succeeded,
            JobState::Failed => Self::Failed,
            JobState::Cancelled => Self::Cancelled,
        }
    }
}

impl From<JobStateView> for JobState {
    fn from(state: JobStateView) -> Self {
        match state {
            JobStateView::Queued => Self::Queued,
            JobStateView::Running => Self::Running,
            JobStateView::Succeeded => Self::Succeeded,
            JobStateView::Failed => Self::Failed,
            JobStateView::Cancelled => Self::Cancelled,
        }
    }
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct JobProgressView {
    /// Optimizer steps done.
    step: u64,
    /// Optimizer steps in all.
    steps: u64,
    /// Training loss of the last step, nats per token.
    loss: Option<f64>,
    /// Newest loss on the validation split, nats per token.
    evaluation_loss: Option<f64>,
    /// Tokens a second, of late.
    tokens_per_s: Option<f64>,
    /// Seconds to the end, estimated.
    eta_s: Option<f64>,
}

impl From<JobProgress> for JobProgressView {
    fn from(progress: JobProgress) -> Self {
        let JobProgress { step, steps, loss, evaluation_loss, tokens_per_s, eta_s } = progress;
        Self { step, steps, loss, evaluation_loss, tokens_per_s, eta_s }
    }
}

/// A training job, which is also the record of its run.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct JobView {
    /// Its id: the hash of dataset, base model and recipe, 64 hexadecimal digits. The same work has the same id.
    job: String,
    /// Whose model.
    #[schema(example = "ada")]
    author: String,
    /// The dataset version that it trains on.
    dataset: String,
    /// The base model's fingerprint.
    base: String,
    /// The recipe's canonical text, JSON.
    recipe: String,
    /// The sweep that it is a trial of; such a job makes no model version.
    sweep: Option<String>,
    /// The version of the program that queued it.
    code_version: String,
    /// Where it stands.
    #[schema(inline)]
    state: JobStateView,
    /// Why it is there.
    reason: Option<String>,
    /// How often it was started.
    attempts: u32,
    /// Somebody wants it stopped.
    cancel_requested: bool,
    /// How far it is; null before it was first started.
    progress: Option<JobProgressView>,
    /// When it was queued.
    created_at: DateTime<Utc>,
    /// When it was last started.
    started_at: Option<DateTime<Utc>>,
    /// When it ended.
    ended_at: Option<DateTime<Utc>>,
    /// The model version that it made.
    model: Option<String>,
}

impl From<JobRow> for JobView {
    fn from(row: JobRow) -> Self {
        Self {
            job: row.job.0,
            author: row.author.to_string(),
            dataset: row.dataset.0,
            base: row.base,
            recipe: row.recipe,
            sweep: row.sweep,
            code_version: row.code_version,
            state: row.state.into(),
            reason: row.reason,
            attempts: row.attempts,
            cancel_requested: row.cancel_requested,
            progress: row.progress.map(JobProgressView::from),
            created_at: row.created_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
            model: row.model.map(|model| model.0),
        }
    }
}

/// A value of a run at a step.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct MetricView {
    /// `loss`, `evaluation_loss`, `learning_rate`, ….
    #[schema(example = "loss")]
    name: String,
    /// The optimizer step.
    step: u64,
    /// The value; null where it is not finite, which JSON can not say.
    value: Option<f64>,
}

impl From<Metric> for MetricView {
    fn from(metric: Metric) -> Self {
        let Metric { name, step, value } = metric;
        Self { name, step, value: value.is_finite().then_some(value) }
    }
}
