//! When sources are synced.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{error, warn};
use twin_coordination::Member;
use twin_schemas::SourceId;
use twin_telemetry::{MetricError, MetricsRegistry, ShutdownSignal};
use twin_warehouse::Warehouse;

use crate::claimed::{ClaimedSyncer, LEASES, lease_of};
use crate::metrics::Metrics;
use crate::sources::Sources;
use crate::sync::Syncer;
use crate::{Error, Options};

/// Sources that are due are looked at up to this many beyond those that can be synced now: others may be syncing them.
const LOOKED_BEYOND: usize = 100;

/// The crawler: syncs each registered source when it is due.
pub struct Crawler {
    syncer: ClaimedSyncer,
    max_concurrent_syncs: usize,
    /// Failed syncs in a row, of the sources whose last one failed.
    failures: HashMap<SourceId, u32>,
}

impl Crawler {
    /// A crawler of these sources, and who it is among those that share them. Fails if its metrics are registered
    /// already.
    pub fn new(
        options: Options,
        sources: Sources,
        warehouse: Arc<dyn Warehouse>,
        member: Member,
        registry: &MetricsRegistry,
    ) -> Result<Self, MetricError> {
        let syncer = ClaimedSyncer {
            syncer: Syncer::new(&options, sources, warehouse.clone()),
            warehouse,
            member,
            metrics: Metrics::new(registry)?,
            poll: Duration::from_millis(options.poll_ms.max(1)),
        };
        let max_concurrent_syncs = options.max_concurrent_syncs.max(1);
        Ok(Self { syncer, max_concurrent_syncs, failures: HashMap::new() })
    }

    /// Runs until shutdown. A sync that is under way then is dropped and done again at the next start.
    pub async fn run(mut self, shutdown: ShutdownSignal) {
        let mut ticks = tokio::time::interval(self.syncer.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut syncs: JoinSet<(SourceId, Result<Option<u32>, Error>)> = JoinSet::new();
        let mut running: HashSet<SourceId> = HashSet::new();
        let mut warehouse_answers = true;
        let mut changes = self.syncer.warehouse.source_changes();
        loop {
            tokio::select! {
                () = shutdown.begun() => break,
                Some(ended) = syncs.join_next() => match ended {
                    Ok((source, ended)) => {
                        running.remove(&source);
                        self.note(source, ended);
                    }
                    // Panics of sources are caught within the sync.
                    Err(error) => error!(%error, "a sync ended without a result"),
                },
                _ = ticks.tick() => {}
                // The sender lives as long as the warehouse that this holds.
                _ = changes.changed() => {}
            }
            let due = self.due(&running).await;
            if let Err(error) = &due
                && warehouse_answers
            {
                warn!(%error, "the warehouse does not list the sources that are due");
            }
            warehouse_answers = due.is_ok();
            for source in due.unwrap_or_default() {
                running.insert(source);
                let failures = self.failures.get(&source).copied().unwrap_or(0);
                let (syncer, shutdown) = (self.syncer.clone(), shutdown.clone());
                syncs.spawn(async move { (source, syncer.sync(source, failures, &shutdown).await) });
            }
        }
        // They see the shutdown too, and give their leases up.
        while syncs.join_next().await.is_some() {}
    }

    /// The sources that are due and that nobody syncs, as many as there is room for, longest due first.
    async fn due(&self, running: &HashSet<SourceId>) -> Result<Vec<SourceId>, twin_warehouse::Error> {
        let free = self.max_concurrent_syncs.saturating_sub(running.len());
        if free == 0 {
            return Ok(Vec::new());
        }
        let limit = self.max_concurrent_syncs + LOOKED_BEYOND;
        let mut due = self.syncer.warehouse.due_sources(Utc::now(), limit).await?;
        due.retain(|source| !running.contains(source));
        if !due.is_empty() {
            let others = self.syncer.member.held_by_others(LEASES).await?;
            due.retain(|source| !others.contains(&lease_of(*source)));
        }
        due.truncate(free);
        Ok(due)
    }

    fn note(&mut self, source: SourceId, ended: Result<Option<u32>, Error>) {
        match ended {
            Ok(Some(0)) => drop(self.failures.remove(&source)),
            Ok(Some(failures)) => drop(self.failures.insert(source, failures)),
            Ok(None) => {}
            // It stays due, so it is synced again: recording the same documents twice changes nothing.
            Err(error) => warn!(source_id = %source, %error, "a sync could not be begun, or its end not be stored"),
        }
    }
}
