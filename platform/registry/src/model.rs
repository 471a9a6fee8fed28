//! The rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use twin_artifacts::FolderFile;
use twin_schemas::{AuthorId, DatasetId, JobId, ModelId, Verdict};
use twin_training::Plan;

use crate::{FoldAdapter, MeasureChanges, Member};

/// A dataset version to register.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDataset {
    /// The hash of its content.
    pub dataset: DatasetId,
    /// Whose.
    pub author: AuthorId,
    /// The artifact that holds its manifest.
    pub manifest: String,
    /// Samples to train on.
    pub training_samples: u64,
    /// Samples of each kind, for people.
    pub counts: BTreeMap<String, u64>,
    /// The form of the prompts that its samples are made with; none: not known.
    pub prompts: Option<String>,
    /// Why it was frozen.
    pub reason: String,
    /// The documents that it was made of, as far as they are in its split.
    pub members: Vec<Member>,
}

/// A dataset version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetRow {
    /// The hash of its content.
    pub dataset: DatasetId,
    /// Whose.
    pub author: AuthorId,
    /// Its number among the author's versions, from 1.
    pub number: u32,
    /// The author's version before it.
    pub parent: Option<DatasetId>,
    /// The artifact that holds its manifest.
    pub manifest: String,
    /// Samples to train on.
    pub training_samples: u64,
    /// Samples of each kind.
    pub counts: BTreeMap<String, u64>,
    /// The form of the prompts that its samples are made with. Not noted of versions that earlier versions of the program
    /// have made: theirs is an older one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompts: Option<String>,
    /// Why it was frozen.
    pub reason: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Documents whose words are in it.
    pub documents: u64,
    /// Of these, deleted since: what they taught is still in this version.
    pub deleted_documents: u64,
}

/// Somebody wants a version frozen, whatever the policy says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FreezeRequest {
    /// Whose.
    pub author: AuthorId,
    /// Who.
    pub requested_by: String,
    /// When.
    pub requested_at: DateTime<Utc>,
    /// What came of it; none while it is open.
    pub outcome: Option<String>,
    /// Whether no version could be made: the outcome is then the reason.
    pub refused: bool,
    /// The version is to be trained on, whatever `trainer.automatic` says: a retraining was asked for.
    #[serde(default)]
    pub retrain: bool,
}

/// A training job to queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewJob {
    /// Its id: a hash of what follows.
    pub job: JobId,
    /// Whose model.
    pub author: AuthorId,
    /// What to train on.
    pub dataset: DatasetId,
    /// The base model's fingerprint.
    pub base: String,
    /// The recipe's canonical text.
    pub recipe: String,
    /// The sweep that it is a trial of: its model is not registered.
    pub sweep: Option<String>,
    /// The version of the program.
    pub code_version: String,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its turn.
    Queued,
    /// Under way.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly; the reason says why. Can be tried again.
    Failed,
    /// Somebody stopped it. Can be tried again.
    Cancelled,
}

impl JobState {
    /// Whether nothing more will happen by itself.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// How far a running job is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobProgress {
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
    /// What the run is: known before its first step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// What another machine goes on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<JobCheckpoint>,
    /// The folds that it is through with: an attempt after it does not train them again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<FoldAdapter>,
}

/// How far a job is, as one of its attempts has said.
#[derive(Debug, Clone, PartialEq)]
pub struct NotedProgress {
    /// The attempt's number.
    pub attempt: u32,
    /// What it has said last.
    pub progress: JobProgress,
}

/// All that a job had done up to a step, in the artifact store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCheckpoint {
    /// The optimizer step.
    pub step: u64,
    /// Its place in the job's folder, with `/` between names.
    pub path: String,
    /// Its files.
    pub files: Vec<FolderFile>,
}

/// A job, which is also the record of its run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRow {
    /// Its id.
    pub job: JobId,
    /// Whose model.
    pub author: AuthorId,
    /// What it trains on.
    pub dataset: DatasetId,
    /// The base model's fingerprint.
    pub base: String,
    /// The recipe's canonical text.
    pub recipe: String,
    /// The sweep that it is a trial of.
    pub sweep: Option<String>,
    /// The version of the program.
    pub code_version: String,
    /// Where it stands.
    pub state: JobState,
    /// Why it is there.
    pub reason: Option<String>,
    /// How often it was started.
    pub attempts: u32,
    /// Somebody wants it stopped.
    pub cancel_requested: bool,
    /// How far it is.
    pub progress: Option<JobProgress>,
    /// It runs, and the present attempt has said nothing yet: its process is being started, or waits for a place to run.
    /// Told where the progress is, and no part of what is stored.
    #[serde(skip)]
    pub pending: bool,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When it was last started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The model that it made.
    pub model: Option<ModelId>,
}

/// A value of a run at a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// `loss`, `evaluation_loss`, `learning_rate`, ….
    pub name: String,
    /// The optimizer step.
    pub step: u64,
    /// The value.
    pub value: f64,
}

/// The model that a job has made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewModel {
    /// The artifact that holds its manifest.
    pub manifest: String,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub enum JobOutcome {
    /// With a model. A trial of a sweep has none.
    Succeeded(Option<NewModel>),
    /// Badly.
    Failed(String),
    /// Somebody stopped it.
    Cancelled(String),
}

/// What an evaluation has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationOutcome {
    /// Whether the model may follow the one in production.
    pub verdict: Verdict,
    /// Its answers from passages were measured, and are good enough to be given in place of the author's own words.
    pub grounded: bool,
    /// The artifact that holds the report as JSON.
    pub report: String,
    /// The artifact that holds the report as a page.
    pub page: String,
}

/// The recipe of an author's later jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredRecipe {
    /// Its canonical text.
    pub recipe: String,
    /// Where it is from: a sweep, a person.
    pub origin: String,
    /// Since when.
    pub set_at: DateTime<Utc>,
}

/// Where a model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelState {
    /// Made, and not evaluated yet.
    Trained,
    /// Evaluated; somebody or a policy has to decide.
    Evaluated,
    /// May serve.
    Approved,
    /// May never serve.
    Rejected,
}

/// A model version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRow {
    /// Its name.
    pub model: ModelId,
    /// Whose.
    pub author: AuthorId,
    /// Its number among the author's, from 1.
    pub number: u32,
    /// The job that made it.
    pub job: JobId,
    /// What it was trained on.
    pub dataset: DatasetId,
    /// The base model's fingerprint.
    pub base: String,
    /// The artifact that holds its manifest.
    pub manifest: String,
    /// Where it stands.
    pub state: ModelState,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// What its evaluation says, once there is one.
    pub verdict: Option<Verdict>,
    /// It answers for its author now, or is about to.
    pub in_production: bool,
}

/// Where an evaluation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationState {
    /// Waits for its turn.
    Queued,
    /// Under way.
    Running,
    /// There is a report.
    Done,
    /// It could not be done.
    Failed,
}

impl EvaluationState {
    /// Whether nothing more will happen by itself.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

/// What a model is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Against {
    /// The model that answered for the author then; none is the base model.
    pub model: Option<ModelId>,
}

/// The evaluation of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRow {
    /// The model.
    pub model: ModelId,
    /// Where it stands.
    pub state: EvaluationState,
    /// Why it failed.
    pub reason: Option<String>,
    /// How often it was started.
    pub attempts: u32,
    /// The outcome.
    pub verdict: Option<Verdict>,
    /// Its answers from passages were measured, and are good enough to be given in place of the author's own words.
    /// Evaluations of earlier versions of the program do not say: then they are not.
    #[serde(default)]
    pub grounded: bool,
    /// What the model is, or was, compared with: what answered when the newest attempt began. None before the first; of an
    /// evaluation by an early version of the program it is not known.
    #[serde(default)]
    pub against: Option<Against>,
    /// How many evaluations were held against that, this one included; 0 where that is not known.
    #[serde(default)]
    pub look: u32,
    /// How often the model was asked to be evaluated and a report made, this time included; 0 is 1.
    #[serde(default)]
    pub round: u32,
    /// What is measured otherwise than configured.
    #[serde(default, skip_serializing_if = "MeasureChanges::is_empty")]
    pub changes: MeasureChanges,
    /// The artifact that holds the report as JSON.
    pub report: Option<String>,
    /// The artifact that holds the report as a page.
    pub page: Option<String>,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The model may serve.
    Approve,
    /// The model may never serve.
    Reject,
    /// The model is to serve.
    Deploy,
    /// An earlier model is to serve again.
    Rollback,
}

/// Who decided what, when and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRow {
    /// For whose twin.
    pub author: AuthorId,
    /// About which model; none is the base model.
    pub model: Option<ModelId>,
    /// What.
    pub action: Action,
    /// Who: a person's name, or `policy`.
    pub decided_by: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// No worker has taken it up yet.
    Requested,
    /// A worker answers with it.
    Serving,
    /// It could not be loaded or did not pass the smoke test; the one before goes on serving.
    Failed,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeploymentRow {
    /// For whose twin.
    pub author: AuthorId,
    /// Its number among the author's, from 1.
    pub number: u64,
    /// The model; none is the base model.
    pub model: Option<ModelId>,
    /// Where it stands.
    pub state: DeploymentState,
    /// Why it failed.
    pub detail: Option<String>,
    /// When it was asked for.
    pub at: DateTime<Utc>,
    /// When it began to serve, or failed.
    pub settled_at: Option<DateTime<Utc>>,
}

/// A position in a list of deployments: a number among the author's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentPosition {
    /// The number.
    pub number: u64,
}

/// A position in what a run measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricPosition {
    /// The metric's name.
    pub name: String,
    /// The optimizer step.
    pub step: u64,
}
