use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts};
use twin_telemetry::{MetricError, MetricsRegistry, latency_buckets};

/// What the chunker measures.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub chunks: IntCounterVec,
    pub seconds: Histogram,
}

impl Metrics {
    pub(crate) fn register(registry: &MetricsRegistry) -> Result<Self, MetricError> {
        let metrics = Self {
            chunks: IntCounterVec::new(
                Opts::new("twin_chunker_chunks_total", "Chunks made, by the document's category."),
                &["category"],
            )?,
            seconds: Histogram::with_opts(
                HistogramOpts::new("twin_chunker_seconds", "Seconds to cut one document into chunks.")
                    .buckets(latency_buckets()),
            )?,
        };
        registry.register(Box::new(metrics.chunks.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        Ok(metrics)
    }
}
