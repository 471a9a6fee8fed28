use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts};
use twin_schemas::Category;
use twin_telemetry::{MetricError, MetricsRegistry, latency_buckets};

use crate::RejectionKind;

/// What the cleaner counts.
#[derive(Clone)]
pub(crate) struct Metrics {
    documents: IntCounterVec,
    rejections: IntCounterVec,
    pub(crate) seconds: Histogram,
    pub(crate) abandoned_threads: IntGauge,
}

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handled {
    Cleaned(Category),
    Rejected(Category, RejectionKind),
    /// A tombstone has no payload to read a category from.
    Deleted,
}

impl Metrics {
    pub(crate) fn new(registry: &MetricsRegistry) -> Result<Self, MetricError> {
        let documents = IntCounterVec::new(
            Opts::new("twin_cleaner_documents_total", "Documents handled, by category and outcome."),
            &["category", "outcome"],
        )?;
        let rejections = IntCounterVec::new(
            Opts::new("twin_cleaner_rejections_total", "Documents rejected, by reason."),
            &["reason"],
        )?;
        let seconds = Histogram::with_opts(
            HistogramOpts::new("twin_cleaner_seconds", "Time to clean one document.").buckets(latency_buckets()),
        )?;
        let abandoned_threads = IntGauge::new(
            "twin_cleaner_abandoned_threads",
            "Threads that still work on a document past its deadline.",
        )?;
        registry.register(Box::new(documents.clone()))?;
        registry.register(Box::new(rejections.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(abandoned_threads.clone()))?;
        for kind in RejectionKind::ALL {
            rejections.with_label_values(&[kind.as_str()]);
        }
        Ok(Self { documents, rejections, seconds, abandoned_threads })
    }

    pub(crate) fn count(&self, handled: Handled) {
        let (category, outcome) = match handled {
            Handled::Cleaned(category) => (category.as_str(), "cleaned"),
            Handled::Rejected(category, _) => (category.as_str(), "rejected"),
            Handled::Deleted => ("unknown", "deleted"),
        };
        self.documents.with_label_values(&[category, outcome]).inc();
        if let Handled::Rejected(_, kind) = handled {
            self.rejections.with_label_values(&[kind.as_str()]).inc();
        }
    }
}
