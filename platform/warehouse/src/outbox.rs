//! Publishes what the warehouse has recorded and the log does not hold yet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};
use twin_coordination::{Held, Member};
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
/// appended again, as the same event (its id is made of document and revision).
///
/// Of several relays the one that holds the lease works. One that stands still before its append, for so long that another
/// takes over, appends an old revision behind a newer one; its mark then finds the newer one and makes that unpublished,
/// so that it is appended once more and is the last one of its document again.
pub struct Outbox {
    options: OutboxOptions,
    warehouse: Arc<dyn Warehouse>,
    log: Arc<dyn EventLog>,
    member: Member,
    held: Option<Held>,
    worked_at: Instant,
}

/// The lease of the relay.
const LEASE: &str = "outbox";
/// The pause after a failure, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// So long the lease is kept when there is nothing to publish: a lease for each revision would be two writes for each.
const LINGER: Duration = Duration::from_secs(3);

impl Outbox {
    /// An outbox from `warehouse` to `log`, and who relays it.
    pub fn new(options: OutboxOptions, warehouse: Arc<dyn Warehouse>, log: Arc<dyn EventLog>, member: Member) -> Self {
        Self { options, warehouse, log, member, held: None, worked_at: Instant::now() }
    }

    /// Publishes until the shutdown begins.
    pub async fn run(mut self, shutdown: ShutdownSignal) {
        let mut changes = self.warehouse.changes();
        let poll = Duration::from_millis(self.options.poll_ms.max(1));
        let mut pause = poll;
        while !shutdown.has_begun() {
            match self.publish_some().await {
                Ok(0) => {
                    pause = poll;
                    if self.worked_at.elapsed() > LINGER {
                        self.release().await;
                    }
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
        self.release().await;
    }

    /// Publishes one batch and returns how many revisions it held: none, too, if another relay is at work.
    pub async fn publish_some(&mut self) -> Result<usize, Error> {
        if !self.held.as_ref().is_some_and(Held::is_held) {
            if self.warehouse.unpublished(1).await?.is_empty() {
                return Ok(0);
            }
            self.held = self.member.hold(LEASE).await.map_err(Error::Leases)?;
        }
        let Some(held) = &self.held else { return Ok(0) };
        let rows = self.warehouse.unpublished(self.options.batch).await?;
        // Looked at last, so that of what another has published meanwhile little is appended again.
        if rows.is_empty() || !held.is_held() {
            return Ok(0);
        }
        let revisions: Vec<(DocumentId, Revision)> =
            rows.iter().map(|row| (row.meta.document_id, row.meta.revision)).collect();
        self.log.append(rows.iter().map(|row| event(row).into_record()).collect()).await?;
        self.warehouse.mark_published(&revisions).await?;
        self.worked_at = Instant::now();
        debug!(revisions = revisions.len(), "published");
        Ok(revisions.len())
    }

    async fn release(&mut self) {
        let Some(held) = self.held.take() else { return };
        if let Err(error) = held.release().await {
            warn!(%error, "the lease of the outbox could not be given up; it passes on by itself");
        }
    }
}

fn event(row: &DocumentRow) -> NewEvent {
    let (id, revision) = (row.meta.document_id, row.meta.revision);
    match row.payload() {
        Some(raw) => NewEvent::document("crawler", id, revision, &raw),
        None => NewEvent::tombstone::<RawDocument>("crawler", id, revision),
    }
}
