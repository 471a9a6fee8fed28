use prometheus::{
    IntCounterVec, IntGauge, Opts, register_int_counter_vec_with_registry, register_int_gauge_with_registry,
};
use twin_telemetry::{MetricError, MetricsRegistry};

/// What the trainer measures.
#[derive(Clone)]
pub struct Metrics {
    pub(crate) jobs: IntCounterVec,
    pub(crate) running: IntGauge,
}

impl Metrics {
    /// Registers them.
    pub fn new(registry: &MetricsRegistry) -> Result<Self, MetricError> {
        let jobs = register_int_counter_vec_with_registry!(
            Opts::new("twin_trainer_jobs_total", "Training jobs that ended, by how."),
            &["outcome"],
            registry
        )?;
        for outcome in ["succeeded", "failed", "cancelled"] {
            jobs.with_label_values(&[outcome]);
        }
        let running =
            register_int_gauge_with_registry!(Opts::new("twin_trainer_running", "Training jobs under way."), registry)?;
        Ok(Self { jobs, running })
    }
}
