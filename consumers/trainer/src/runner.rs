//! The port to where training runs, and its implementation on this machine.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use twin_artifacts::Artifacts;
use twin_jobs::{Children, Limits, Look};
use twin_registry::{JobProgress, Metric};
use twin_schemas::JobId;

use crate::Error;
use crate::options::Options;

/// What a job needs, by reference: whoever runs it fetches the files itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The job.
    pub job: JobId,
    /// The base model's directory, or the name by which the runner knows it.
    pub base: PathBuf,
    /// The recipe as TOML.
    pub recipe: String,
    /// Samples to train on: artifacts whose contents, one after the other, are a JSONL file.
    pub train: Vec<String>,
    /// Samples to evaluate on, of the same form; may be empty.
    pub validation: Vec<String>,
    /// The artifact store's place, as the runner's processes see it.
    pub artifacts: PathBuf,
    /// Threads; 0 is as many as the machine has.
    pub threads: usize,
}

/// What a job says of itself while it runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How far it is.
    pub progress: JobProgress,
    /// What it measured of late, newest last.
    pub metrics: Vec<Metric>,
}

/// What a job has made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// Steps done.
    pub steps: u64,
    /// Loss on the validation split at the end.
    pub evaluation_loss: Option<f64>,
    /// Seconds of the last attempt.
    pub seconds: f64,
    /// Every value that it measured.
    pub metrics: Vec<Metric>,
    /// The folder with `merged/`, `adapter/` and the loss curve, on a disk that this process sees.
    pub output: PathBuf,
}

/// How a job is.
#[derive(Debug, PartialEq)]
pub enum Status {
    /// Nobody works on it. If somebody did, the end of what they said.
    Absent(String),
    /// It is worked on.
    Running(Option<Report>),
    /// It is done.
    Succeeded(Product),
    /// It can not be done, or was stopped.
    Failed(String),
}

/// Where training runs. A job is named by its id: submitting it twice starts it once.
#[async_trait]
pub trait JobRunner: Send + Sync {
    /// Starts the job, from its last checkpoint if there is one, unless it runs or has ended.
    async fn submit(&self, order: &Order) -> Result<(), Error>;

    /// How it is.
    async fn status(&self, job: &JobId) -> Result<Status, Error>;

    /// Stops it. Its checkpoints stay.
    async fn cancel(&self, job: &JobId) -> Result<(), Error>;

    /// Lets an ended job be submitted again.
    async fn reopen(&self, job: &JobId) -> Result<(), Error>;

    /// Removes all that it has left.
    async fn forget(&self, job: &JobId) -> Result<(), Error>;
}

/// Runs jobs as child processes of this program.
pub struct LocalRunner {
    children: Children,
}

impl LocalRunner {
    /// Children that run `program` with `arguments` and the job's folder, below `folder`.
    pub fn new(program: PathBuf, arguments: Vec<String>, folder: PathBuf, options: &Options) -> Self {
        let limits = Limits {
            memory: options.max_memory_mb << 20,
            time: Duration::from_secs(options.max_minutes.saturating_mul(60)),
        };
        Self { children: Children::new(program, arguments, folder, limits) }
    }
}

#[async_trait]
impl JobRunner for LocalRunner {
    async fn submit(&self, order: &Order) -> Result<(), Error> {
        Ok(self.children.start(&order.job.0, order)?)
    }

    async fn status(&self, job: &JobId) -> Result<Status, Error> {
        Ok(match self.children.look::<Product, Report>(&job.0)? {
            Look::Idle(log) => Status::Absent(log),
            Look::Working(report) => Status::Running(report),
            Look::Ended(Ok(product)) => Status::Succeeded(product),
            Look::Ended(Err(problem)) => Status::Failed(problem),
        })
    }

    async fn cancel(&self, job: &JobId) -> Result<(), Error> {
        Ok(self.children.kill(&job.0)?)
    }

    async fn reopen(&self, job: &JobId) -> Result<(), Error> {
        Ok(self.children.reopen(&job.0)?)
    }

    async fn forget(&self, job: &JobId) -> Result<(), Error> {
        Ok(self.children.remove(&job.0)?)
    }
}

impl Order {
    /// The artifact store that it names.
    pub fn store(&self) -> Result<Artifacts, Error> {
        Ok(Artifacts::existing(&self.artifacts)?)
    }
}
