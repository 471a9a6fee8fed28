//! What the routes of the learning loop work with.

use std::sync::Arc;

use async_trait::async_trait;
use twin_api::PlannedFoldsView;
use twin_artifacts::Artifacts;
use twin_registry::{Collected, JobQueue, Registry};
use twin_schemas::{AuthorId, DatasetId};
use twin_training::{Plan, Recipe};

use crate::PortError;

/// The state of the learning loop, shared with its stages.
#[derive(Clone)]
pub struct Learning {
    /// Datasets, jobs, models, decisions and deployments.
    pub registry: Registry,
    /// The files that rows of the registry name.
    pub artifacts: Artifacts,
    /// Queues training jobs; or why that can not be on this machine.
    pub queue: Result<JobQueue, String>,
    /// Says what a job would be; or why that can not be on this machine.
    pub planner: Result<Arc<dyn JobPlanner>, String>,
    /// Says what the next dataset versions wait for.
    pub next_versions: Arc<dyn NextVersions>,
}

/// Says what an author's next dataset version waits for.
#[async_trait]
pub trait NextVersions: Send + Sync {
    /// What there is, and how much makes a version due.
    async fn collected(&self, author: &AuthorId) -> Result<Collected, PortError>;
}

/// What a job would be, and how long it would take here.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedRun {
    /// What it would be.
    pub plan: Plan,
    /// Seconds, with its folds; estimated.
    pub seconds: f64,
    /// What it would train beside the model.
    pub folds: Option<PlannedFoldsView>,
    /// Whether that is by the pace of an earlier job.
    pub by_a_job: bool,
    /// Why the job would fail before its first step.
    pub refused: Option<String>,
}

/// Says what a job would be, before it is queued.
#[async_trait]
pub trait JobPlanner: Send + Sync {
    /// The training of a dataset by a recipe.
    async fn plan(&self, dataset: &DatasetId, recipe: &Recipe) -> Result<PlannedRun, PortError>;
}

impl Learning {
    /// The queue of training jobs. Refused where there is no base model that can be trained.
    pub(crate) fn queue(&self) -> Result<&JobQueue, PortError> {
        self.queue.as_ref().map_err(|why| PortError::Refused(why.clone()))
    }

    /// Who plans jobs. Refused as the queue is.
    pub(crate) fn planner(&self) -> Result<&dyn JobPlanner, PortError> {
        self.planner.as_deref().map_err(|why| PortError::Refused(why.clone()))
    }
}
