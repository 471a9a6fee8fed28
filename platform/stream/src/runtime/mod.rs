//! The stage runtime: everything around a handler that is the same for every stage.

mod metrics;
mod partition;
mod process;
mod run;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_schemas::{Attributes, Payload};
use twin_telemetry::{Readiness, ShutdownSignal};

pub use metrics::StageMetrics;

use waiting::Waits;

use crate::Error;
use crate::handler::{BatchLimits, Handler, Reason};
use crate::log::EventLog;

/// The consumer group of a stage.
pub fn group_of(stage: &str) -> String {
    format!("twin.{stage}")
}

/// Whether the events of a partition wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Batch after batch, in order.
    PerPartition,
    /// Each event by itself, so many of a partition at once: for events that have nothing to do with each other.
    None {
        /// Events of a partition under way, at most.
        in_flight: usize,
    },
}

/// How events that failed in passing are tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryOptions {
    /// Milliseconds before the first repetition; doubles with each further one, and varies by a fifth.
    pub first_pause_ms: u64,
    /// Milliseconds between repetitions, at most.
    pub longest_pause_ms: u64,
    /// Seconds after which an event that still fails is dead-lettered, so that it does not hold up its partition for
    /// ever. Time in which it waits for a store or a service that is away does not count.
    pub give_up_after_s: u64,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self { first_pause_ms: 100, longest_pause_ms: 30_000, give_up_after_s: 3_600 }
    }
}

/// Settings of a stage.
#[derive(Debug, Clone)]
pub struct StageOptions {
    /// Bounds of a batch.
    pub batch: BatchLimits,
    /// Whether events wait for each other.
    pub order: Order,
    /// Events of a partition that wait for the handler before the partition is paused.
    pub queued_events: usize,
    /// Bytes of a partition that wait for the handler before the partition is paused.
    pub queued_bytes: usize,
    /// Repetitions.
    pub retry: RetryOptions,
    /// How long a batch under way may take when its partition is taken away or the process ends.
    pub drain: Duration,
    /// Time between commits.
    pub commit_every: Duration,
    /// Time between looks at the lag.
    pub lag_every: Duration,
}

impl Default for StageOptions {
    fn default() -> Self {
        Self {
            batch: BatchLimits::default(),
            order: Order::PerPartition,
            queued_events: 256,
            queued_bytes: 16 << 20,
            retry: RetryOptions::default(),
            drain: Duration::from_secs(15),
            commit_every: Duration::from_millis(250),
            lag_every: Duration::from_secs(10),
        }
    }
}

/// Told of each event that is dead-lettered.
#[async_trait]
pub trait DeadLetterObserver: Send + Sync {
    /// `stage` has refused the event; `attributes` is none if the record was no event.
    async fn dead(&self, stage: &str, attributes: Option<&Attributes>, reason: &Reason);
}

/// A stage ready to run: a handler on the topic of its input.
pub struct Stage<H: Handler> {
    pub(crate) context: Context<H>,
    readiness: Readiness,
}

/// What every worker of a stage shares.
pub(crate) struct Context<H> {
    pub(crate) name: String,
    pub(crate) handler: Arc<H>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) options: StageOptions,
    pub(crate) metrics: StageMetrics,
    waits: Waits,
    pub(crate) observer: Option<Arc<dyn DeadLetterObserver>>,
}

impl<H> Clone for Context<H> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            handler: self.handler.clone(),
            log: self.log.clone(),
            options: self.options.clone(),
            metrics: self.metrics.clone(),
            waits: self.waits.clone(),
            observer: self.observer.clone(),
        }
    }
}

impl<H: Handler> Stage<H> {
    /// A stage named `name` (its consumer group is [`group_of`] it).
    pub fn new(
        name: &str,
        handler: H,
        log: Arc<dyn EventLog>,
        options: StageOptions,
        metrics: StageMetrics,
        readiness: Readiness,
    ) -> Self {
        let waits = Waits::new(name, metrics.waiting.with_label_values(&[name]));
        let (name, handler) = (name.to_owned(), Arc::new(handler));
        let context = Context { name, handler, log, options, metrics, waits, observer: None };
        Self { context, readiness }
    }

    /// Tells `observer` of dead letters.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn DeadLetterObserver>) -> Self {
        self.context.observer = Some(observer);
        self
    }

    /// Runs until the shutdown begins, then drains. An error is one that does not pass by itself.
    pub async fn run(self, shutdown: ShutdownSignal) -> Result<(), Error> {
        let topic = <H::Input as Payload>::TOPIC.name();
        let group = group_of(&self.context.name);
        let consumer = self.context.log.subscribe(&group, &[topic]).await?;
        self.readiness.ready();
        let measuring = tokio::spawn(metrics::measure_lag(self.context.clone(), group, topic));
        let result = run::Dispatcher::new(self.context, consumer).run(shutdown).await;
        measuring.abort();
        self.readiness.not_ready(if result.is_ok() { "stopped" } else { "failed" });
        result
    }
}
