use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts};
use twin_telemetry::{MetricError, MetricsRegistry, latency_buckets};

/// What the embedder measures.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub texts: IntCounterVec,
    pub tokens: IntCounter,
    pub batch_seconds: Histogram,
    pub queue_texts: IntGauge,
    pub restarts: IntCounter,
}

impl Metrics {
    pub(crate) fn register(registry: &MetricsRegistry) -> Result<Self, MetricError> {
        let metrics = Self {
            texts: IntCounterVec::new(
                Opts::new("twin_embedder_texts_total", "Texts embedded, by kind: query, candidate or passage."),
                &["kind"],
            )?,
            tokens: IntCounter::new(
                "twin_embedder_tokens_total",
                "Tokens run through the embedding model, special tokens included, filling not.",
            )?,
            batch_seconds: Histogram::with_opts(
                HistogramOpts::new("twin_embedder_batch_seconds", "Seconds that the model took for a batch.")
                    .buckets(latency_buckets()),
            )?,
            queue_texts: IntGauge::new(
                "twin_embedder_queue_texts",
                "Texts that wait for the embedding model or are under way.",
            )?,
            restarts: IntCounter::new(
                "twin_embedder_restarts_total",
                "Sessions of the embedding model loaded anew after a panic.",
            )?,
        };
        registry.register(Box::new(metrics.texts.clone()))?;
        registry.register(Box::new(metrics.tokens.clone()))?;
        registry.register(Box::new(metrics.batch_seconds.clone()))?;
        registry.register(Box::new(metrics.queue_texts.clone()))?;
        registry.register(Box::new(metrics.restarts.clone()))?;
        Ok(metrics)
    }
}
