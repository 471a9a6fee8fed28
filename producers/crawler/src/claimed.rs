//! A sync under a claim: by one crawler at a time, and for as long as the source is there.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tracing::{info, warn};
use twin_coordination::{Lost, Member};
use twin_schemas::SourceId;
use twin_telemetry::ShutdownSignal;
use twin_warehouse::{Claim, SourceRow, SyncOutcome, Warehouse};

use crate::Error;
use crate::metrics::Metrics;
use crate::pause::pause_after;
use crate::sync::{Synced, Syncer};

/// The leases of sources begin with this.
pub(crate) const LEASES: &str = "source/";

/// The name of the lease of a source.
pub(crate) fn lease_of(source: SourceId) -> String {
    format!("{LEASES}{source}")
}

/// Syncs sources that it has claimed.
#[derive(Clone)]
pub(crate) struct ClaimedSyncer {
    pub syncer: Syncer,
    pub warehouse: Arc<dyn Warehouse>,
    pub member: Member,
    pub metrics: Metrics,
    /// Between two looks at whether the source is still there.
    pub poll: Duration,
}

impl ClaimedSyncer {
    /// Syncs a source that is due, after so many failures in a row, and stores how it went. Returns the failures in a row
    /// from now on; none if nothing was stored: another has the source, it is gone, or the shutdown began.
    pub async fn sync(&self, source: SourceId, failures: u32, shutdown: &ShutdownSignal) -> Result<Option<u32>, Error> {
        let Some(held) = self.member.hold(&lease_of(source)).await.map_err(twin_warehouse::Error::Leases)? else {
            return Ok(None);
        };
        let ended = held.run(self.sync_claimed(source, held.epoch(), failures, shutdown)).await;
        if let Err(error) = held.release().await {
            warn!(source_id = %source, %error, "the lease of a source could not be given up; it passes on by itself");
        }
        ended.unwrap_or_else(|Lost| {
            warn!(source_id = %source, "the sync was stopped: another crawler may have taken the source over");
            Ok(None)
        })
    }

    async fn sync_claimed(
        &self,
        id: SourceId,
        epoch: u64,
        failures: u32,
        shutdown: &ShutdownSignal,
    ) -> Result<Option<u32>, Error> {
        // Another may have synced it since it was found to be due.
        let Some((claim, source)) = self.warehouse.claim_source(id, epoch, Utc::now()).await? else { return Ok(None) };
        let synced = tokio::select! {
            synced = self.syncer.sync(&source, &claim) => synced,
            () = self.claim_is_lost(&claim) => None,
            () = shutdown.begun() => return Ok(None),
        };
        let Some(synced) = synced else {
            info!(source_id = %id, "the sync was stopped: the source was removed, or is another's");
            return Ok(None);
        };
        self.finish(&source, &claim, synced, failures).await
    }

    async fn claim_is_lost(&self, claim: &Claim) {
        loop {
            tokio::time::sleep(self.poll).await;
            // What can not be asked now is asked again, and each write asks for itself.
            if let Ok(false) = self.warehouse.is_claimed(claim).await {
                return;
            }
        }
    }

    /// Stores how a sync went and when the next is due.
    async fn finish(
        &self,
        source: &SourceRow,
        claim: &Claim,
        synced: Synced,
        failures: u32,
    ) -> Result<Option<u32>, Error> {
        let Synced { sync, cursor, retry_after_s } = synced;
        self.metrics.synced(source.source.kind.as_str(), &sync);
        let failures = match sync.outcome {
            SyncOutcome::Failed { .. } => failures.saturating_add(1),
            SyncOutcome::Completed | SyncOutcome::AwaitingConfirmation { .. } => 0,
        };
        let next_run_at = sync.finished_at + pause_after(source.source.interval_s, failures, retry_after_s);
        info!(
            source_id = %source.id,
            kind = %source.source.kind,
            seen = sync.seen,
            new = sync.new,
            changed = sync.changed,
            deleted = sync.deleted,
            failed = sync.failed_total,
            waited_ms = sync.waited_ms,
            failures,
            %next_run_at,
            "sync finished"
        );
        let stored = self.warehouse.finish_sync(claim, sync, cursor, next_run_at).await?;
        Ok(stored.then_some(failures))
    }
}
