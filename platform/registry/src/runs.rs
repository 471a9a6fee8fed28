//! What a run measured, by step.

use twin_schemas::JobId;

use crate::model::Metric;
use crate::{Error, Registry};

/// Values of one read where all are wanted.
const METRICS_AT_ONCE: usize = 5_000;

impl Registry {
    /// Adds values of a run. A value of a step that is there already is replaced: a job that goes on from a checkpoint
    /// does some steps again.
    pub async fn add_metrics(&self, job: &JobId, metrics: Vec<Metric>) -> Result<(), Error> {
        if metrics.is_empty() {
            return Ok(());
        }
        Ok(self.store.put_metrics(job, &metrics).await?)
    }

    /// Every value of a run, by name and step, however many reads that takes.
    pub async fn metrics(&self, job: &JobId) -> Result<Vec<Metric>, Error> {
        let (mut metrics, mut after) = (Vec::new(), None);
        loop {
            let page = self.list_metrics(job, after.as_ref(), METRICS_AT_ONCE).await?;
            metrics.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(metrics);
            }
        }
    }
}
