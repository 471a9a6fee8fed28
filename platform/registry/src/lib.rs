//! What the learning loop knows: dataset versions, training jobs, models, decisions and deployments.
//!
//! Each step of the loop is one transaction that moves a row from a state to the next and, where others wait for it,
//! puts an event into the outbox. So a process that dies leaves the step before or the step after, never half of one;
//! a step that is asked for twice happens once; and [`Relay`] publishes every event at least once, as the same event.
//!
//! Deliberately not here: what the steps do. Files (manifests, reports, weights) are artifacts; rows name them.

mod datasets;
mod deployments;
mod error;
mod evaluations;
mod jobs;
mod lineage;
mod manifest;
mod model;
mod models;
mod outbox;
mod pages;
mod rows;
mod runs;
mod tables;

pub use deployments::By;
pub use error::Error;
pub use lineage::{Lineage, TaughtDocument};
pub use manifest::ModelManifest;
pub use model::{
    Action, DatasetRow, DecisionRow, DeploymentRow, DeploymentState, EvaluationRow, EvaluationState, FreezeRequest,
    JobOutcome, JobProgress, JobRow, JobState, Metric, ModelRow, ModelState, NewDataset, NewJob, NewModel,
    StoredRecipe,
};
pub use outbox::Relay;

use tokio::sync::watch;
use twin_sqlite::Database;
use twin_sqlite::rusqlite::Connection;

/// The registry in the embedded database; clones share it. All writes are durable when their future ends.
#[derive(Clone)]
pub struct Registry {
    database: Database,
    changes: watch::Sender<u64>,
}

impl Registry {
    /// Opens it, making or migrating its tables.
    pub async fn open(database: Database) -> Result<Self, Error> {
        let migrate = |tx: &Connection| Ok(twin_sqlite::migrate(tx, "registry", tables::MIGRATIONS)?);
        database.write::<_, Error, _>(migrate).await?;
        Ok(Self { database, changes: watch::channel(0).0 })
    }

    /// Changes whenever this process has written: who waits for a state looks again then.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let result = self.database.write(work).await?;
        self.changes.send_modify(|count| *count += 1);
        Ok(result)
    }

    async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.database.read(work).await
    }
}
