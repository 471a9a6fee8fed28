use prometheus::{IntCounterVec, Opts, register_int_counter_vec_with_registry};
use twin_telemetry::{MetricError, MetricsRegistry};

/// What the datasets stage measures.
#[derive(Clone)]
pub struct Metrics {
    versions: IntCounterVec,
}

impl Metrics {
    /// Registers them.
    pub fn new(registry: &MetricsRegistry) -> Result<Self, MetricError> {
        let versions = register_int_counter_vec_with_registry!(
            Opts::new("twin_datasets_versions_total", "Dataset versions that fell due, by what came of it."),
            &["outcome"],
            registry
        )?;
        for outcome in ["frozen", "refused"] {
            versions.with_label_values(&[outcome]);
        }
        Ok(Self { versions })
    }

    pub(crate) fn frozen(&self, outcome: &str) {
        self.versions.with_label_values(&[outcome]).inc();
    }
}
