//! What the routes of the learning loop work with.

use std::sync::Arc;

use async_trait::async_trait;
use twin_artifacts::Artifacts;
use twin_registry::{JobRow, Registry};
use twin_schemas::{AuthorId, DatasetId};

use crate::PortError;

/// The state of the learning loop, shared with its stages.
#[derive(Clone)]
pub struct Learning {
    /// Datasets, jobs, models, decisions and deployments.
    pub registry: Registry,
    /// The files that rows of the registry name.
    pub artifacts: Artifacts,
    /// What takes a stage's knowledge.
    pub desk: Arc<dyn LearningDesk>,
}

/// What the stages of the learning loop know and the gateway does not: it depends on no stage. What it says of an
/// error is for the person who asks; a store that failed is told apart from what can not be done.
#[async_trait]
pub trait LearningDesk: Send + Sync {
    /// What changed from one dataset version to another; both ids are whole and known to the registry.
    async fn diff(&self, a: &str, b: &str) -> Result<serde_json::Value, PortError>;

    /// Queues a training job, or finds the one that does the same work.
    async fn train(&self, request: TrainRequest) -> Result<JobRow, PortError>;

    /// Queues the trials of a sweep (TOML) over recipes. [`PortError::Invalid`] says what is wrong with the text.
    async fn sweep(&self, author: &AuthorId, sweep: &str) -> Result<Vec<JobRow>, PortError>;

    /// The canonical text of a recipe (TOML). An error says what is wrong with it.
    fn check_recipe(&self, recipe: &str) -> Result<String, String>;
}

/// A training job that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainRequest {
    /// Whose model.
    pub author: AuthorId,
    /// What to train on: a version of this author that is there.
    pub dataset: DatasetId,
    /// The recipe's canonical text. None: the author's own, or the configured one.
    pub recipe: Option<String>,
}
