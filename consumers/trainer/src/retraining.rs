//! Retrainings that are offered: counted, and taken where a policy says so.

use std::time::Duration;

use tracing::{info, warn};
use twin_registry::{Change, Interest, JobQueue, Registry, Retraining, Stage};
use twin_telemetry::ShutdownSignal;

use crate::Error;
use crate::metrics::Metrics;
use crate::options::{OnChange, Options};

/// Between two looks: another process may have deployed or queued something.
const LOOK: Duration = Duration::from_secs(60);

/// Who asks for a retraining that nobody has taken.
const POLICY: &str = "policy";

/// Looks for authors whose version was trained with something else than what there is now.
pub struct Retrainings {
    registry: Registry,
    queue: JobQueue,
    policy: OnChange,
    metrics: Metrics,
}

impl Retrainings {
    /// Not running yet. What `queue` makes jobs of is what there is now.
    pub fn new(registry: Registry, queue: JobQueue, options: &Options, metrics: Metrics) -> Self {
        Self { registry, queue, policy: options.retrain_on_change, metrics }
    }

    /// Looks until the shutdown begins.
    pub async fn run(self, shutdown: ShutdownSignal) {
        let mut deployments = self.registry.changes(Interest::Deployments);
        let mut jobs = self.registry.changes(Interest::Jobs);
        let mut told = 0;
        while !shutdown.has_begun() {
            match self.look().await {
                Ok(offered) if offered != told => {
                    if offered > 0 {
                        info!(authors = offered, "retraining is offered: twin learning status --author NAME says why");
                    }
                    told = offered;
                }
                Ok(_) => {}
                Err(error) => warn!(%error, "retrainings could not be looked after, trying again"),
            }
            tokio::select! {
                () = shutdown.begun() => {}
                _ = deployments.changed() => {}
                _ = jobs.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Looks once, and takes what is offered if the policy says so. How many authors it is offered to then.
    ///
    /// # Errors
    /// The registry can not be read, or does not take a step.
    pub async fn look(&self) -> Result<usize, Error> {
        let mut offered = Vec::new();
        for found in self.registry.retrainings(self.queue.ingredients()).await? {
            if !matches!(found.stage, Stage::Offered { .. }) {
                continue;
            }
            if self.policy == OnChange::Train {
                self.take(&found).await?;
            } else {
                offered.push(found);
            }
        }
        for change in [Change::Base, Change::Prompts] {
            let authors = offered.iter().filter(|found| found.changed.contains(&change)).count();
            self.metrics.offers.with_label_values(&[change.as_str()]).set(authors as i64);
        }
        Ok(offered.len())
    }

    /// What can not be trained keeps no other author from it.
    async fn take(&self, found: &Retraining) -> Result<(), Error> {
        let Retraining { author, model, .. } = found;
        match self.queue.retrain(author, POLICY).await {
            Ok(_) => {
                info!(%author, %model, "a retraining was begun: what it was trained with has changed");
                Ok(())
            }
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                warn!(%author, %error, "the author can not be trained anew");
                Ok(())
            }
        }
    }
}
