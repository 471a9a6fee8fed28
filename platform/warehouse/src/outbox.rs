//! Publishes what the warehouse has recorded and the log does not hold yet.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use twin_coordination::Member;
use twin_schemas::{DocumentId, RawDocument, Revision, Service};
use twin_stream::{EventLog, NewEvent, NewRecord, Outgoing, Relay};
use twin_telemetry::ShutdownSignal;

use crate::model::DocumentRow;
use crate::{Error, Warehouse};

/// Settings of the outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutboxOptions {
    /// Milliseconds between looks at the warehouse for what another process has recorded. What this process records
    /// is published at once, and in the embedded mode there is no other.
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
/// One that stands still before its append, for so long that another takes over, appends an old revision behind a newer
/// one; its mark then finds the newer one and makes that unpublished, so that it is appended once more and is the last one
/// of its document again.
pub struct Outbox(Relay<Revisions>);

impl Outbox {
    /// An outbox from `warehouse` to `log`, and who relays it.
    pub fn new(options: OutboxOptions, warehouse: Arc<dyn Warehouse>, log: Arc<dyn EventLog>, member: Member) -> Self {
        let poll = Duration::from_millis(options.poll_ms.max(1));
        Self(Relay::new(Revisions(warehouse), log, member, poll, options.batch))
    }

    /// Publishes until the shutdown begins.
    pub async fn run(self, shutdown: ShutdownSignal) {
        self.0.run(shutdown).await;
    }

    /// Publishes one batch and returns how many revisions it held: none, too, if another relay is at work.
    pub async fn publish_some(&mut self) -> Result<usize, Error> {
        self.0.publish_some().await
    }
}

/// Revisions of documents that the log does not hold yet.
struct Revisions(Arc<dyn Warehouse>);

#[async_trait]
impl Outgoing for Revisions {
    type Mark = (DocumentId, Revision);
    type Error = Error;

    fn name(&self) -> &'static str {
        "outbox"
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.0.changes()
    }

    async fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.0.unpublished(1).await?.is_empty())
    }

    async fn oldest(&self, limit: usize) -> Result<Vec<(Self::Mark, Option<NewRecord>)>, Error> {
        let rows = self.0.unpublished(limit).await?;
        let named = |row: &DocumentRow| ((row.meta.document_id, row.meta.revision), Some(event(row).into_record()));
        Ok(rows.iter().map(named).collect())
    }

    async fn mark(&self, appended: Vec<Self::Mark>) -> Result<(), Error> {
        self.0.mark_published(&appended).await
    }
}

fn event(row: &DocumentRow) -> NewEvent {
    let (id, revision) = (row.meta.document_id, row.meta.revision);
    match row.payload() {
        Some(raw) => NewEvent::document(Service::Crawler.name(), id, revision, &raw),
        None => NewEvent::tombstone::<RawDocument>(Service::Crawler.name(), id, revision),
    }
}
