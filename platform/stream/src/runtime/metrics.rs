use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, register_histogram_vec_with_registry,
    register_int_counter_vec_with_registry, register_int_gauge_vec_with_registry,
};
use tracing::debug;
use twin_telemetry::{MetricError, MetricsRegistry, latency_buckets};

use super::Context;
use crate::Error;
use crate::log::EventLog;

/// What is measured of every stage; one set for all stages of a process.
#[derive(Clone)]
pub struct StageMetrics {
    pub(crate) events: IntCounterVec,
    pub(crate) dead_letters: IntCounterVec,
    pub(crate) batch_seconds: HistogramVec,
    pub(crate) event_age_seconds: HistogramVec,
    pub(crate) lag: IntGaugeVec,
    pub(crate) paused: IntGaugeVec,
    pub(crate) partitions: IntGaugeVec,
    pub(crate) waiting: IntGaugeVec,
}

impl StageMetrics {
    /// Registers the metrics.
    pub fn new(registry: &MetricsRegistry) -> Result<Self, MetricError> {
        let histogram = |name, help| HistogramOpts::new(name, help).buckets(latency_buckets());
        Ok(Self {
            events: register_int_counter_vec_with_registry!(
                Opts::new("twin_stage_events_total", "Events that a stage has finished or tried again."),
                &["stage", "outcome"],
                registry
            )?,
            dead_letters: register_int_counter_vec_with_registry!(
                Opts::new("twin_stage_dead_letters_total", "Events that a stage has dead-lettered."),
                &["stage", "class"],
                registry
            )?,
            batch_seconds: register_histogram_vec_with_registry!(
                histogram("twin_stage_batch_seconds", "Time that a handler takes for a batch."),
                &["stage"],
                registry
            )?,
            event_age_seconds: register_histogram_vec_with_registry!(
                histogram("twin_stage_event_age_seconds", "Age of an event when a stage has finished it."),
                &["stage"],
                registry
            )?,
            lag: register_int_gauge_vec_with_registry!(
                Opts::new("twin_stage_lag_events", "Events that a stage's group has yet to commit."),
                &["stage"],
                registry
            )?,
            paused: register_int_gauge_vec_with_registry!(
                Opts::new("twin_stage_paused_partitions", "Partitions paused since the handler is behind."),
                &["stage"],
                registry
            )?,
            partitions: register_int_gauge_vec_with_registry!(
                Opts::new("twin_stage_partitions", "Partitions that this process has of a stage's topic."),
                &["stage"],
                registry
            )?,
            waiting: register_int_gauge_vec_with_registry!(
                Opts::new("twin_stage_waiting_events", "Events that wait for a store or a service that is away."),
                &["stage"],
                registry
            )?,
        })
    }
}

/// Sets the lag gauge every now and then.
pub(super) async fn measure_lag<H>(context: Context<H>, group: String, topic: &'static str) {
    let mut ticks = tokio::time::interval(context.options.lag_every);
    loop {
        ticks.tick().await;
        match lag(&*context.log, &group, topic).await {
            Ok(lag) => {
                context.metrics.lag.with_label_values(&[&context.name]).set(i64::try_from(lag).unwrap_or(i64::MAX));
            }
            Err(error) => debug!(stage = context.name, %error, "lag can not be measured now"),
        }
    }
}

/// Events of a topic that a group has yet to commit.
async fn lag(log: &dyn EventLog, group: &str, topic: &str) -> Result<u64, Error> {
    let committed = log.committed(group, topic).await?;
    let ends = log.watermarks(topic).await?;
    let behind = ends.into_iter().map(|(partition, ends)| {
        ends.end.saturating_sub(committed.get(&partition).copied().unwrap_or(ends.begin).max(ends.begin))
    });
    Ok(behind.sum())
}
