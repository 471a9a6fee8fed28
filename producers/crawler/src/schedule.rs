//! When sources are synced.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
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

/// The first pause after a failure is no longer than this, seconds.
const FIRST_PAUSE_S: u64 = 60;
/// Pauses after failures grow up to this, or to the source's interval where that is longer, seconds.
const LONGEST_PAUSE_S: u64 = 3600;
/// Share of the interval by which it is lengthened or shortened, so that sources do not come due together.
const JITTER: f64 = 0.1;
/// Beyond this, a server's wish to be left alone is not followed to the letter, seconds.
const LONGEST_RETRY_AFTER_S: u64 = 7 * 24 * 3600;

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
                _ = ticks.tick() => {
                    let due = self.due(&running).await;
                    if let Err(error) = &due && warehouse_answers {
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

/// The time until the next sync, with jitter.
pub(crate) fn pause_after(interval_s: u64, failures: u32, retry_after_s: Option<u64>) -> TimeDelta {
    let pause = pause_s(interval_s, failures, retry_after_s);
    jittered(pause, retry_after_s, rand::random_range(-JITTER..=JITTER))
}

/// Seconds to the next sync: the interval; after failures a pause that doubles with each; in any case as long as the
/// server asked.
fn pause_s(interval_s: u64, failures: u32, retry_after_s: Option<u64>) -> u64 {
    let pause = match failures.checked_sub(1) {
        None => interval_s,
        Some(doublings) => {
            let first = interval_s.clamp(1, FIRST_PAUSE_S);
            first.saturating_mul(1 << doublings.min(30)).min(interval_s.max(LONGEST_PAUSE_S))
        }
    };
    pause.max(retry_after_s.unwrap_or(0).min(LONGEST_RETRY_AFTER_S))
}

/// The pause with jitter, never shorter than the server asked.
fn jittered(pause_s: u64, retry_after_s: Option<u64>, jitter: f64) -> TimeDelta {
    let least = retry_after_s.unwrap_or(0).min(LONGEST_RETRY_AFTER_S) as f64;
    let seconds = (pause_s as f64 * (1.0 + jitter)).max(least);
    // A year at most, so that the sum with a date can not overflow.
    TimeDelta::milliseconds((seconds.min(366.0 * 86_400.0) * 1000.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_after_failures_double_up_to_an_hour_or_the_interval() {
        assert_eq!(pause_s(300, 0, None), 300);
        let pauses: Vec<u64> = (1..=8).map(|failures| pause_s(300, failures, None)).collect();
        assert_eq!(pauses, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(pause_s(86_400, 40, None), 86_400);
        assert_eq!(pause_s(5, 1, None), 5, "a source that is looked at often is tried again soon");
    }

    #[test]
    fn a_server_that_asks_to_wait_is_waited_for() {
        assert_eq!(pause_s(60, 1, Some(7200)), 7200);
        assert_eq!(pause_s(60, 1, Some(1)), 60);
        assert_eq!(jittered(7200, Some(7200), -0.1), TimeDelta::seconds(7200));
        assert_eq!(jittered(100, None, -0.1), TimeDelta::seconds(90));
        assert_eq!(jittered(100, None, 0.1), TimeDelta::seconds(110));
    }

    #[test]
    fn the_longest_possible_wait_is_still_a_date() {
        let far = Utc::now() + jittered(u64::MAX, Some(u64::MAX), 0.1);
        assert!(far > Utc::now());
    }
}
