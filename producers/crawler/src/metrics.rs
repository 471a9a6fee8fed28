use prometheus::{CounterVec, HistogramOpts, HistogramVec, IntCounterVec, Opts};
use twin_telemetry::{MetricError, MetricsRegistry, latency_buckets};
use twin_warehouse::{LastSync, SyncOutcome};

/// What the crawler counts.
#[derive(Clone)]
pub(crate) struct Metrics {
    syncs: IntCounterVec,
    documents: IntCounterVec,
    seconds: HistogramVec,
    waited_seconds: CounterVec,
}

impl Metrics {
    pub fn new(registry: &MetricsRegistry) -> Result<Self, MetricError> {
        let syncs = IntCounterVec::new(
            Opts::new("twin_crawler_syncs_total", "Syncs of sources, by how they ended."),
            &["kind", "outcome"],
        )?;
        let documents = IntCounterVec::new(
            Opts::new(
                "twin_crawler_documents_total",
                "Documents that syncs found new, changed, deleted or unreadable.",
            ),
            &["kind", "change"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("twin_crawler_sync_seconds", "Duration of syncs.").buckets(latency_buckets()),
            &["kind"],
        )?;
        registry.register(Box::new(syncs.clone()))?;
        registry.register(Box::new(documents.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        let waited_seconds = CounterVec::new(
            Opts::new(
                "twin_crawler_waited_seconds_total",
                "Time that syncs waited for their turns at servers, and because servers asked for that.",
            ),
            &["kind"],
        )?;
        registry.register(Box::new(waited_seconds.clone()))?;
        Ok(Self { syncs, documents, seconds, waited_seconds })
    }

    pub fn synced(&self, kind: &str, sync: &LastSync) {
        let outcome = match sync.outcome {
            SyncOutcome::Completed => "completed",
            SyncOutcome::Failed { .. } => "failed",
            SyncOutcome::AwaitingConfirmation { .. } => "awaiting_confirmation",
        };
        self.syncs.with_label_values(&[kind, outcome]).inc();
        for (change, count) in
            [("new", sync.new), ("changed", sync.changed), ("deleted", sync.deleted), ("failed", sync.failed_total)]
        {
            self.documents.with_label_values(&[kind, change]).inc_by(count);
        }
        let seconds = (sync.finished_at - sync.started_at).as_seconds_f64();
        self.seconds.with_label_values(&[kind]).observe(seconds.max(0.0));
        self.waited_seconds.with_label_values(&[kind]).inc_by(sync.waited_ms as f64 / 1000.0);
    }
}
