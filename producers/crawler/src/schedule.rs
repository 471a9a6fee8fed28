//! When sources are synced.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};
use twin_schemas::SourceId;
use twin_telemetry::{MetricError, Registry, ShutdownSignal};
use twin_warehouse::{SourceRow, SyncOutcome, Warehouse};

use crate::Options;
use crate::metrics::Metrics;
use crate::sources::Sources;
use crate::sync::{Synced, Syncer};

/// The first pause after a failure is no longer than this, seconds.
const FIRST_PAUSE_S: u64 = 60;
/// Pauses after failures grow up to this, or to the source's interval where that is longer, seconds.
const LONGEST_PAUSE_S: u64 = 3600;
/// Share of the interval by which it is lengthened or shortened, so that sources do not come due together.
const JITTER: f64 = 0.1;
/// So much two machines' clocks may differ, or one be set by, without any consequence.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);
/// Beyond this, a server's wish to be left alone is not followed to the letter, seconds.
const LONGEST_RETRY_AFTER_S: u64 = 7 * 24 * 3600;

/// The crawler: syncs each registered source when it is due.
pub struct Crawler {
    syncer: Syncer,
    warehouse: Arc<dyn Warehouse>,
    metrics: Metrics,
    poll: Duration,
    max_concurrent_syncs: usize,
    /// Failed syncs in a row, of the sources whose last one failed.
    failures: HashMap<SourceId, u32>,
}

impl Crawler {
    /// A crawler of these sources. Fails if its metrics are registered already.
    pub fn new(
        options: Options,
        sources: Sources,
        warehouse: Arc<dyn Warehouse>,
        registry: &Registry,
    ) -> Result<Self, MetricError> {
        Ok(Self {
            syncer: Syncer::new(&options, sources, warehouse.clone()),
            warehouse,
            metrics: Metrics::new(registry)?,
            poll: Duration::from_millis(options.poll_ms.max(1)),
            max_concurrent_syncs: options.max_concurrent_syncs.max(1),
            failures: HashMap::new(),
        })
    }

    /// Runs until shutdown. A sync that is under way then is dropped and done again at the next start.
    pub async fn run(mut self, shutdown: ShutdownSignal) {
        let mut ticks = tokio::time::interval(self.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut syncs: JoinSet<(SourceRow, Synced)> = JoinSet::new();
        let mut running: HashSet<SourceId> = HashSet::new();
        let mut warehouse_answers = true;
        loop {
            tokio::select! {
                () = shutdown.begun() => break,
                Some(ended) = syncs.join_next() => match ended {
                    Ok((source, synced)) => {
                        self.finish(&source, synced).await;
                        running.remove(&source.id);
                    }
                    // Panics of sources are caught within the sync.
                    Err(error) => error!(%error, "a sync ended without a result"),
                },
                _ = ticks.tick() => {
                    let sources = self.warehouse.sources(None).await;
                    if let Err(error) = &sources && warehouse_answers {
                        warn!(%error, "the warehouse does not list the sources");
                    }
                    warehouse_answers = sources.is_ok();
                    let free = self.max_concurrent_syncs.saturating_sub(syncs.len());
                    for source in due(sources.unwrap_or_default(), &running, Utc::now()).into_iter().take(free) {
                        running.insert(source.id);
                        let syncer = self.syncer.clone();
                        syncs.spawn(async move {
                            let synced = syncer.sync(&source).await;
                            (source, synced)
                        });
                    }
                }
            }
        }
        syncs.shutdown().await;
    }

    /// Stores how a sync went and when the next is due.
    async fn finish(&mut self, source: &SourceRow, synced: Synced) {
        let Synced { sync, cursor, retry_after_s } = synced;
        self.metrics.synced(source.source.kind.as_str(), &sync);
        let failures = match sync.outcome {
            SyncOutcome::Failed { .. } => {
                let failures = self.failures.entry(source.id).or_insert(0);
                *failures = failures.saturating_add(1);
                *failures
            }
            SyncOutcome::Completed | SyncOutcome::AwaitingConfirmation { .. } => {
                self.failures.remove(&source.id);
                0
            }
        };
        let pause = pause_s(source.source.interval_s, failures, retry_after_s);
        let next_run_at = sync.finished_at + jittered(pause, retry_after_s, rand::random_range(-JITTER..=JITTER));
        info!(
            source_id = %source.id,
            kind = %source.source.kind,
            seen = sync.seen,
            new = sync.new,
            changed = sync.changed,
            deleted = sync.deleted,
            failed = sync.failed_total,
            failures,
            %next_run_at,
            "sync finished"
        );
        if let Err(error) = self.warehouse.finish_sync(source.id, sync, cursor, next_run_at).await {
            // It stays due, so it is synced again: recording the same documents twice changes nothing.
            warn!(source_id = %source.id, %error, "the end of a sync could not be stored");
        }
    }
}

/// The sources that are due and not being synced, longest due first.
fn due(sources: Vec<SourceRow>, running: &HashSet<SourceId>, now: DateTime<Utc>) -> Vec<SourceRow> {
    let is_due = |source: &SourceRow| source.next_run_at <= now || clock_was_put_back(source, now);
    let mut due: Vec<_> =
        sources.into_iter().filter(|source| is_due(source) && !running.contains(&source.id)).collect();
    due.sort_by_key(|source| source.next_run_at);
    due
}

/// Its last sync ended in what is now the future, so its plan for the next one means nothing.
fn clock_was_put_back(source: &SourceRow, now: DateTime<Utc>) -> bool {
    source.last_sync.as_ref().is_some_and(|sync| sync.finished_at > now + CLOCKS_DIFFER)
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
    use twin_schemas::SourceKind;
    use twin_warehouse::{LastSync, NewSource};

    fn source(location: &str, next_run_s: i64) -> SourceRow {
        let author = "ada".parse().unwrap();
        let kind = SourceKind::new("folder");
        SourceRow {
            id: SourceId::of(&author, &kind, location),
            source: NewSource { author, kind, location: location.into(), category: None, interval_s: 60 },
            created_at: DateTime::UNIX_EPOCH,
            cursor: serde_json::Value::Null,
            last_sync: None,
            next_run_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(next_run_s),
            deletions_confirmed: false,
        }
    }

    #[test]
    fn the_source_that_is_due_longest_comes_first_and_none_runs_twice() {
        let sources = vec![source("/a", 30), source("/b", 10), source("/c", 20), source("/d", 99)];
        let running = HashSet::from([sources[2].id]);
        let due = due(sources, &running, DateTime::UNIX_EPOCH + TimeDelta::seconds(30));
        assert_eq!(due.iter().map(|source| source.source.location.as_str()).collect::<Vec<_>>(), ["/b", "/a"]);
    }

    #[test]
    fn a_clock_that_is_put_back_by_a_day_does_not_stop_the_syncs_for_that_day() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(10);
        let synced = |finished_at: DateTime<Utc>| SourceRow {
            last_sync: Some(LastSync {
                started_at: finished_at,
                finished_at,
                outcome: SyncOutcome::Completed,
                seen: 0,
                new: 0,
                changed: 0,
                deleted: 0,
                failed: Vec::new(),
                failed_total: 0,
            }),
            next_run_at: finished_at + TimeDelta::seconds(60),
            ..source("/a", 0)
        };
        assert_eq!(due(vec![synced(now + TimeDelta::days(1))], &HashSet::new(), now).len(), 1);
        assert_eq!(due(vec![synced(now + TimeDelta::seconds(2))], &HashSet::new(), now).len(), 0, "set by a little");
        assert_eq!(due(vec![synced(now)], &HashSet::new(), now).len(), 0);
    }

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
