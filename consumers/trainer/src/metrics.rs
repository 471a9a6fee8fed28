use prometheus::{
    IntCounterVec, IntGauge, IntGaugeVec, Opts, register_int_counter_vec_with_registry,
    register_int_gauge_vec_with_registry, register_int_gauge_with_registry,
};
use twin_registry::Change;
use twin_telemetry::{MetricError, MetricsRegistry};

/// What the trainer measures.
#[derive(Clone)]
pub struct Metrics {
    pub(crate) jobs: IntCounterVec,
    pub(crate) running: IntGauge,
    pub(crate) offers: IntGaugeVec,
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
        let offers = register_int_gauge_vec_with_registry!(
            Opts::new(
                "twin_trainer_retraining_offers",
                "Authors to whom a retraining is offered, by what has changed since their version was trained."
            ),
            &["changed"],
            registry
        )?;
        for change in [Change::Base, Change::Prompts] {
            offers.with_label_values(&[change.as_str()]);
        }
        Ok(Self { jobs, running, offers })
    }
}
