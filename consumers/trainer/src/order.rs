//! What a training job is told, says and makes: by reference, for whatever machine it runs on. Where the artifact store and
//! the base model are is known to whoever works.

use serde::{Deserialize, Serialize};
use twin_artifacts::FolderFile;
use twin_jobs::Kind;
use twin_registry::{FoldAdapter, JobCheckpoint, JobProgress, Metric};
use twin_schemas::JobId;
use twin_training::Plan;

use crate::samples::StageSamples;

/// Training jobs, as runners know them.
pub struct Training;

impl Kind for Training {
    type Order = TrainingOrder;
    type Report = TrainingReport;
    type Product = TrainingProduct;
}

/// What is to be trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingOrder {
    /// The job.
    pub job: JobId,
    /// The base model's fingerprint. Whoever works knows where that model is.
    pub base: String,
    /// The recipe as TOML.
    pub recipe: String,
    /// Samples to train on: artifacts whose contents, one after the other, are a JSONL file.
    pub train: Vec<String>,
    /// Samples to evaluate on, of the same form; may be empty.
    pub validation: Vec<String>,
    /// Those of the recipe's stages after the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub following: Vec<StageSamples>,
    /// Threads; 0 is as many as the machine has.
    pub threads: usize,
    /// What is wanted of the result.
    pub keep: Keep,
    /// Share of the samples of a kind that may be left out, 0 to 1. An order of an earlier version allows all.
    #[serde(default = "all")]
    pub max_left_out: f64,
    /// What an attempt before this one, on whatever machine, has come to.
    #[serde(default)]
    pub checkpoint: Option<JobCheckpoint>,
    /// The folds that are wanted beside the model; none of an order of an earlier version.
    #[serde(default)]
    pub folds: Option<FoldTraining>,
}

/// Adapters to train beside the model, each without some of the documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldTraining {
    /// How many, at most: few documents are cut into fewer.
    pub folds: usize,
    /// Steps that the model's own training may have for folds to be trained at all.
    pub max_steps: u64,
    /// The samples to cut: artifacts whose contents, one after the other, are a JSONL file of
    /// [`twin_schemas::FoldSample`].
    pub samples: Vec<String>,
    /// Those that attempts before this one are through with.
    pub done: Vec<FoldAdapter>,
}

fn all() -> f64 {
    1.0
}

/// What is wanted of a job's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// What it measured: a trial of a sweep.
    Measurements,
    /// The adapter too.
    Adapter,
    /// And the model with the adapter merged into it, which any engine serves.
    Merged,
}

/// What a job says of itself while it runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingReport {
    /// How far it is.
    pub progress: JobProgress,
    /// What it measured of late, newest last.
    pub metrics: Vec<Metric>,
}

/// What a job has made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingProduct {
    /// Steps done.
    pub steps: u64,
    /// Loss on the validation split at the end.
    pub evaluation_loss: Option<f64>,
    /// Seconds of the last attempt.
    pub seconds: f64,
    /// What was planned before the first step: the recipe with nothing left open, and what was left out of the samples.
    #[serde(default)]
    pub plan: Option<Plan>,
    /// Every value that it measured.
    pub metrics: Vec<Metric>,
    /// Its files in the artifact store; a trial of a sweep has none.
    pub files: Option<ModelFiles>,
    /// The adapters that have not seen some of the documents.
    #[serde(default)]
    pub folds: Vec<FoldAdapter>,
}

/// The files of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFiles {
    /// The PEFT adapter.
    pub adapter: Vec<FolderFile>,
    /// The merged model, a Hugging Face directory, where it was asked for.
    pub merged: Option<Vec<FolderFile>>,
    /// The loss curve, as data and as a picture.
    pub curves: Vec<FolderFile>,
}
