//! Logs, metrics, health and shutdown: what every process of the system has.
//!
//! Metrics are registered with a [`MetricsRegistry`] that is handed to each component; there is no global one, so that two
//! nodes can run in one test.

mod admin;
mod health;
mod logs;
mod metrics;
mod shutdown;

pub use admin::admin_router;
pub use health::{Health, Readiness};
pub use logs::{LogFormat, LogOptions, init as init_logs};
pub use metrics::{MetricError, MetricsRegistry, gather_text, latency_buckets};
pub use shutdown::{Shutdown, ShutdownSignal};
