//! Events that wait for a store or a service that is away: counted, and told of once in a while.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntGauge;
use tracing::{info, warn};

use crate::handler::Reason;

/// Between two log lines of a stage that waits, however many events and partitions of it do.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What waits in a stage; its workers share it.
#[derive(Clone)]
pub(super) struct Waits {
    stage: Arc<str>,
    events: IntGauge,
    told: Arc<Mutex<Option<Instant>>>,
}

/// The events of one batch that wait; none once it is dropped.
pub(super) struct Waiting<'a> {
    waits: &'a Waits,
    events: i64,
}

impl Waits {
    pub(super) fn new(stage: &str, events: IntGauge) -> Self {
        Self { stage: stage.into(), events, told: Arc::default() }
    }

    /// A batch of which nothing waits yet.
    pub(super) fn batch(&self) -> Waiting<'_> {
        Waiting { waits: self, events: 0 }
    }

    fn tell(&self, reason: &Reason) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            *told = Some(Instant::now());
            warn!(stage = &*self.stage, class = reason.class, cause = reason.message, "waiting for what is away");
        }
    }

    fn tell_end(&self) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).take();
        if told.is_some() {
            info!(stage = &*self.stage, "going on after waiting");
        }
    }
}

impl Waiting<'_> {
    /// So many events of the batch wait now, one of them for this reason.
    pub(super) fn set(&mut self, events: usize, reason: Option<&Reason>) {
        let events = i64::try_from(events).unwrap_or(i64::MAX);
        let waited = self.events > 0;
        self.waits.events.add(events - self.events);
        self.events = events;
        match reason {
            Some(reason) => self.waits.tell(reason),
            None if waited && self.waits.events.get() == 0 => self.waits.tell_end(),
            None => {}
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waits.events.sub(self.events);
    }
}
