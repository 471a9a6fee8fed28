//! What a run measured, by step.

use twin_schemas::JobId;

use crate::model::Metric;
use crate::{Error, Registry};

impl Registry {
    /// Adds values of a run. A value of a step that is there already is replaced: a job that goes on from a checkpoint
    /// does some steps again.
    pub async fn add_metrics(&self, job: &JobId, metrics: Vec<Metric>) -> Result<(), Error> {
        if metrics.is_empty() {
            return Ok(());
        }
        Ok(self.store.put_metrics(job, &metrics).await?)
    }

    /// Every value of a run, by name and step.
    pub async fn metrics(&self, job: &JobId) -> Result<Vec<Metric>, Error> {
        Ok(self.store.metrics(job).await?)
    }
}
