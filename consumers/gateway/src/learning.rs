//! What the routes of the learning loop work with.

use twin_artifacts::Artifacts;
use twin_registry::{JobQueue, Registry};

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
}

impl Learning {
    /// The queue of training jobs. Refused where there is no base model that can be trained.
    pub(crate) fn queue(&self) -> Result<&JobQueue, PortError> {
        self.queue.as_ref().map_err(|why| PortError::Refused(why.clone()))
    }
}
