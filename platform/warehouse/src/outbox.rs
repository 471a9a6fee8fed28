//! Publishes what the warehouse has recorded and the log does not hold yet.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};
use twin_schemas::{DocumentId, RawDocument, Revision};
use twin_stream::{EventLog, NewEvent};
use twin_telemetry::ShutdownSignal;

use crate::model::DocumentRow;
use crate::{Error, Warehouse};

/// Settings of the outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutboxOptions {
    /// Milliseconds between looks at the warehouse for what another process has recorded. What this process records
    /// is published at once.
    pub poll_ms: u64,
    /// Revisions published together, at most.
    pub batch: usize,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        Self { poll_ms: 100, batch: 64 }
    }
}

/// The relay from the warehouse to the log.
///
/// A revision is appended, and marked once the log has acknowledged it. If the process dies between the two it is
/// appended again, as the same event (its id is made of document and revision). Two relays do no harm either.
pub struct Outbox {
    options: OutboxOptions,
    warehouse: Arc<dyn Warehouse>,
    log: Arc<dyn EventLog>,
}

/// The pause after a failure, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl Outbox {
    /// An outbox from `warehouse` to `log`.
    pub fn new(options: OutboxOptions, warehouse: Arc<dyn Warehouse>, log: Arc<dyn EventLog>) -> Self {
        Self { options, warehouse, log }
    }

    /// Publishes until the shutdown begins.
    pub async fn run(self, shutdown: ShutdownSignal) {
        let mut changes = self.warehouse.changes();
        let poll = Duration::from_millis(self.options.poll_ms.max(1));
        let mut pause = poll;
        while !shutdown.has_begun() {
            match self.publish_some().await {
                Ok(0) => {
                    pause = poll;
                    tokio::select! {
                        () = shutdown.begun() => {}
                        // The sender lives as long as the warehouse that this holds.
                        _ = changes.changed() => {}
                        () = tokio::time::sleep(poll) => {}
                    }
                }
                Ok(_) => pause = poll,
                Err(error) => {
                    warn!(%error, ?pause, "publishing failed, trying again");
                    tokio::select! {
                        () = shutdown.begun() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Publishes one batch and returns how many revisions it held.
    pub async fn publish_some(&self) -> Result<usize, Error> {
        let rows = self.warehouse.unpublished(self.options.batch).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let revisions: Vec<(DocumentId, Revision)> =
            rows.iter().map(|row| (row.meta.document_id, row.meta.revision)).collect();
        self.log.append(rows.iter().map(|row| event(row).into_record()).collect()).await?;
        self.warehouse.mark_published(&revisions).await?;
        debug!(revisions = revisions.len(), "published");
        Ok(revisions.len())
    }
}

fn event(row: &DocumentRow) -> NewEvent {
    let (id, revision) = (row.meta.document_id, row.meta.revision);
    match row.payload() {
        Some(raw) => NewEvent::document("crawler", id, revision, &raw),
        None => NewEvent::tombstone::<RawDocument>("crawler", id, revision),
    }
}
