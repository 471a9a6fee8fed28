use prometheus::{IntCounterVec, Opts, register_int_counter_vec_with_registry};
use twin_telemetry::{MetricError, MetricsRegistry};

/// What the evaluator measures.
#[derive(Clone)]
pub struct Metrics {
    evaluations: IntCounterVec,
}

impl Metrics {
    /// Registers them.
    pub fn new(registry: &MetricsRegistry) -> Result<Self, MetricError> {
        let evaluations = register_int_counter_vec_with_registry!(
            Opts::new("twin_evaluator_evaluations_total", "Evaluations that ended, by their verdict."),
            &["verdict"],
            registry
        )?;
        for verdict in ["passed", "failed", "inconclusive", "error"] {
            evaluations.with_label_values(&[verdict]);
        }
        Ok(Self { evaluations })
    }

    pub(crate) fn ended(&self, verdict: &str) {
        self.evaluations.with_label_values(&[verdict]).inc();
    }
}
