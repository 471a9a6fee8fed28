//! Training jobs, what they measured, and recipes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use twin_schemas::AuthorId;
use utoipa::{IntoParams, ToSchema};

/// Which jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobFilter {
    /// Only this author's.
    #[param(value_type = Option<String>, example = "ada")]
    pub author: Option<AuthorId>,
    /// Only in this state.
    #[param(inline)]
    pub state: Option<JobStateView>,
    /// At most so many, 1 to 1000; 50 if absent.
    pub limit: Option<u32>,
    /// Those that come after an earlier part of the list: its `next`.
    pub before: Option<String>,
}

/// Jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobList {
    /// Newest first.
    pub jobs: Vec<JobView>,
    /// The `before` of the next part of the list; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A job to queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJobRequest {
    /// Whose model; the dataset's author if absent, and `gateway.default_author` if that is absent too.
    #[schema(value_type = Option<String>, example = "ada")]
    pub author: Option<AuthorId>,
    /// The dataset version, or the beginning of its id; the author's newest if absent.
    pub dataset: Option<String>,
    /// The recipe, TOML; the author's own or the configured one if absent.
    #[schema(example = "rank = 8")]
    pub recipe: Option<String>,
}

/// A sweep to queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSweepRequest {
    /// Whose model; `gateway.default_author` if absent.
    #[schema(value_type = Option<String>, example = "ada")]
    pub author: Option<AuthorId>,
    /// The sweep, TOML: values to try for the keys of a recipe.
    pub sweep: String,
}

/// Who asks for something.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Asker {
    /// Who, 1 to 100 characters; `unnamed` if absent.
    #[schema(example = "Grace")]
    pub by: Option<String>,
}

/// Which values of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MetricFilter {
    /// At most so many, 1 to 10000; 10000 if absent.
    pub limit: Option<u32>,
    /// Those that come after an earlier part of the list: its `next`.
    pub after: Option<String>,
}

/// What a run measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricList {
    /// The job.
    pub job: String,
    /// By name and step.
    pub metrics: Vec<MetricView>,
    /// The `after` of the next part of the list; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A training job, which is also the record of its run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// Its id: the hash of dataset, base model and recipe, 64 hexadecimal digits. The same work has the same id.
    pub job: String,
    /// Whose model.
    #[schema(example = "ada")]
    pub author: String,
    /// The dataset version that it trains on.
    pub dataset: String,
    /// The base model's fingerprint.
    pub base: String,
    /// The recipe's canonical text, JSON.
    pub recipe: String,
    /// The sweep that it is a trial of; such a job makes no model version.
    pub sweep: Option<String>,
    /// The version of the program that queued it.
    pub code_version: String,
    /// Where it stands.
    #[schema(inline)]
    pub state: JobStateView,
    /// Why it is there.
    pub reason: Option<String>,
    /// How often it was started.
    pub attempts: u32,
    /// Somebody wants it stopped.
    pub cancel_requested: bool,
    /// It is `running`, and its present attempt has said nothing yet: its process is being started, or waits for a place
    /// to run. `progress` is then that of the attempt before.
    #[serde(default)]
    pub pending: bool,
    /// How far it is; null before it was first started.
    pub progress: Option<JobProgressView>,
    /// What its run is, and which samples it leaves out; null before that is known, and of jobs of earlier versions.
    pub plan: Option<PlanView>,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When it was last started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The model version that it made.
    pub model: Option<String>,
}

/// What a run is, known before its first step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanView {
    /// The recipe with all that it left open filled in; its canonical text, JSON.
    pub recipe: String,
    /// Samples to train and to evaluate on, by kind: `voice`, `grounded`, `refusal`, `preference`, or `unknown` for those
    /// of a dataset version that did not say so.
    pub samples: BTreeMap<String, SampleFit>,
    /// Tokens of the longest of them; as the next, of a run in stages that of its first.
    pub longest: u64,
    /// Tokens that a sample may have, at most.
    pub limit: u64,
    /// Optimizer steps, at most.
    pub steps: u64,
    /// Tokens trained on in all steps.
    pub tokens: u64,
    /// Tokens of all evaluations, and of preferences those that the frozen model reads.
    pub evaluation_tokens: u64,
    /// Resident memory at its peak, bytes; estimated.
    pub memory_bytes: u64,
    /// Its stages, of which the numbers above are the sums; absent where there is but one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StagePlanView>,
}

/// What a stage of a run is. Its settings are in the recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StagePlanView {
    /// `sft` or `dpo`.
    #[schema(example = "dpo")]
    pub method: String,
    /// Samples to train and to evaluate on, by kind.
    pub samples: BTreeMap<String, SampleFit>,
    /// Tokens of the longest of them.
    pub longest: u64,
    /// Tokens that a sample may have, at most.
    pub limit: u64,
    /// Optimizer steps, at most.
    pub steps: u64,
    /// Tokens trained on in all steps.
    pub tokens: u64,
    /// Tokens of all evaluations, and of preferences those that the frozen model reads.
    pub evaluation_tokens: u64,
}

/// Samples of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SampleFit {
    /// Read.
    pub read: u64,
    /// Of these, left out since they are longer than `limit`.
    pub too_long: u64,
    /// Of those to train on that are not too long, in no step: training ends before their turn. Of jobs of earlier versions
    /// it is not known, and 0.
    #[serde(default)]
    pub unseen: u64,
}

/// What a job would be. Nothing is queued.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlannedJob {
    /// Whose model.
    #[schema(example = "ada")]
    pub author: String,
    /// The dataset version that it would train on.
    pub dataset: String,
    /// What its run would be.
    pub plan: PlanView,
    /// Seconds that it would take here, its folds among them; estimated.
    pub seconds: f64,
    /// What it would train beside the model, so that the evaluation of a small author measures all documents; null: nothing.
    #[serde(default)]
    pub folds: Option<PlannedFoldsView>,
    /// Whether that is by the pace of an earlier job like it. Else it is by a pace measured on another machine.
    pub by_a_job: bool,
    /// Why the job would fail before its first step; null if it would not.
    pub refused: Option<String>,
}

/// The folds of a job: adapters that are trained without some of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlannedFoldsView {
    /// How many.
    pub folds: u64,
    /// Optimizer steps of all of them together, at most.
    pub steps: u64,
    /// Tokens trained on in them.
    pub tokens: u64,
    /// Seconds that they take; estimated.
    pub seconds: f64,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStateView {
    /// Waits for its turn.
    Queued,
    /// Under way: its process works, is being started, or waits for something that is away.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly; `reason` says why. Can be tried again.
    Failed,
    /// Somebody stopped it. Can be tried again.
    Cancelled,
}

/// How far a job is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobProgressView {
    /// Optimizer steps done.
    pub step: u64,
    /// Optimizer steps in all.
    pub steps: u64,
    /// Training loss of the last step: nats per token, or in a stage of preferences nats per pair.
    pub loss: Option<f64>,
    /// Newest loss on the validation split, in the same unit.
    pub evaluation_loss: Option<f64>,
    /// Tokens a second, of late.
    pub tokens_per_s: Option<f64>,
    /// Seconds to the end, estimated.
    pub eta_s: Option<f64>,
}

/// A value of a run at a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricView {
    /// `loss`, `evaluation_loss`, `learning_rate`, …; of a second stage, by preferences, `dpo_loss` and
    /// `dpo_evaluation_loss`.
    #[schema(example = "loss")]
    pub name: String,
    /// The optimizer step.
    pub step: u64,
    /// The value; null where it is not finite, which JSON can not say.
    pub value: Option<f64>,
}

/// The recipe of an author's later jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecipeView {
    /// Its canonical text, JSON.
    pub recipe: String,
    /// Where it is from: a sweep, a person.
    pub origin: String,
    /// Since when.
    pub set_at: DateTime<Utc>,
}

/// A recipe to set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRecipe {
    /// The recipe, TOML or, as it is shown, its canonical text.
    pub recipe: String,
    /// Who sets it, 1 to 100 characters; `unnamed` if absent.
    #[schema(example = "Grace")]
    pub by: Option<String>,
}

impl JobStateView {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Nothing more will happen by itself.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}
