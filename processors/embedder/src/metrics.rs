use prometheus::{IntCounterVec, Opts, register_int_counter_vec_with_registry};
use twin_telemetry::{MetricError, MetricsRegistry};

/// What the embedder counts.
pub(crate) struct Metrics {
    pub(crate) documents: IntCounterVec,
    pub(crate) chunks: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new(registry: &MetricsRegistry) -> Result<Self, MetricError> {
        Ok(Self {
            documents: register_int_counter_vec_with_registry!(
                Opts::new("twin_index_documents_total", "Document revisions that reached the index."),
                &["outcome"],
                registry
            )?,
            chunks: register_int_counter_vec_with_registry!(
                Opts::new("twin_index_chunks_total", "Chunks that reached the index, by where their vector came from."),
                &["vector"],
                registry
            )?,
        })
    }
}
