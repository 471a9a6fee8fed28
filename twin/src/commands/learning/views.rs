//! What these commands read of the API. Fields that are not shown are not read.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

/// A dataset version.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Dataset {
    pub dataset: String,
    pub author: String,
    pub number: u32,
    pub parent: Option<String>,
    pub training_samples: u64,
    pub counts: BTreeMap<String, u64>,
    pub reason: String,
    pub created_at: DateTime<Utc>,
    pub documents: u64,
    pub deleted_documents: u64,
}

/// A dataset version with what is read of its manifest.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DatasetDetail {
    pub dataset: Dataset,
    pub manifest: Manifest,
}

/// What is read of a manifest.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Manifest {
    pub files: Vec<File>,
}

/// A file of a dataset version.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct File {
    pub name: String,
    pub lines: u64,
    pub bytes: u64,
}

/// A request to freeze a version.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Freeze {
    pub author: String,
    pub requested_by: String,
    pub requested_at: DateTime<Utc>,
    pub outcome: Option<String>,
    pub refused: bool,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl JobState {
    /// As it is shown.
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

/// How far a job is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Progress {
    pub step: u64,
    pub steps: u64,
    pub loss: Option<f64>,
    pub evaluation_loss: Option<f64>,
    pub tokens_per_s: Option<f64>,
    pub eta_s: Option<f64>,
}

/// A job, which is also the record of its run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Job {
    pub job: String,
    pub author: String,
    pub dataset: String,
    pub base: String,
    pub recipe: String,
    pub sweep: Option<String>,
    pub code_version: String,
    pub state: JobState,
    pub reason: Option<String>,
    pub attempts: u32,
    pub cancel_requested: bool,
    pub progress: Option<Progress>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub model: Option<String>,
}

impl Job {
    /// Seconds from its last start to its end, or to now.
    pub fn seconds(&self, now: DateTime<Utc>) -> Option<f64> {
        let started = self.started_at?;
        let ended = self.ended_at.filter(|_| self.state.has_ended()).unwrap_or(now);
        Some((ended - started).as_seconds_f64())
    }
}

/// Jobs.
#[derive(Debug, Deserialize)]
pub struct Jobs {
    pub jobs: Vec<Job>,
}

/// A value of a run at a step.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Metric {
    pub name: String,
    pub step: u64,
    /// Not a number where the API says null.
    #[serde(deserialize_with = "nan_for_null")]
    pub value: f64,
}

fn nan_for_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// What a run measured, by name and step.
#[derive(Debug, Deserialize)]
pub struct Metrics {
    pub metrics: Vec<Metric>,
}

/// A model version.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ModelVersion {
    pub model: String,
    pub author: String,
    pub job: String,
    pub dataset: String,
    pub base: String,
    pub state: String,
    pub created_at: DateTime<Utc>,
    pub verdict: Option<String>,
    pub in_production: bool,
}

/// The files of a model version.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ModelFiles {
    pub model: String,
    pub files: Vec<ModelFile>,
}

/// A file of a model version.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ModelFile {
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}

/// The evaluation of a model version.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Evaluation {
    pub state: String,
    pub reason: Option<String>,
    pub attempts: u32,
    pub report: Option<String>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Decision {
    pub action: String,
    pub decided_by: String,
    pub why: String,
    pub at: DateTime<Utc>,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Deployment {
    pub author: String,
    pub number: u64,
    pub model: Option<String>,
    pub state: String,
    #[serde(default)]
    pub detail: Option<String>,
}
