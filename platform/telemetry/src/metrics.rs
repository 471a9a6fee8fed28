use prometheus::{Encoder, TextEncoder};

/// Where components register their metrics.
pub type MetricsRegistry = prometheus::Registry;

/// A metric could not be registered: its name is taken.
pub type MetricError = prometheus::Error;

/// The registry's metrics in Prometheus' text format.
pub fn gather_text(registry: &MetricsRegistry) -> Result<String, MetricError> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
}

/// Buckets for latencies from a millisecond to a minute, seconds.
pub fn latency_buckets() -> Vec<f64> {
    vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]
}
