//! One batch, from records to finished: decode, handle, emit, dead-letter, try again.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use chrono::Utc;
use futures::FutureExt;
use rand::Rng;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use twin_schemas::{Attributes, DecodeError, Payload};

use super::Context;
use crate::dead_letters::dead_letter_record;
use crate::handler::{Handler, Message, Outcome, Reason};
use crate::log::{NewRecord, Record};

/// The batch was given up since its partition is being taken away or the process ends. Nothing of it may be committed.
#[derive(Debug)]
pub(crate) struct Abandoned;

/// An event that is not finished.
struct Pending {
    record: Record,
    /// Since when it has failed without a break, and for how long it had failed before.
    failing_since: Option<Instant>,
    failed_for: Duration,
}

impl Pending {
    fn new(record: Record) -> Self {
        Self { record, failing_since: None, failed_for: Duration::ZERO }
    }

    /// Notes a failure. Returns for how long it has failed; time in which it waited does not count.
    fn failed(&mut self, now: Instant) -> Duration {
        if let Some(since) = self.failing_since.replace(now) {
            self.failed_for += now.duration_since(since);
        }
        self.failed_for
    }
}

impl<H: Handler> Context<H> {
    /// Works on the records until each is finished.
    pub(crate) async fn process(&self, records: Vec<Record>, stop: &CancellationToken) -> Result<(), Abandoned> {
        let first_seen = Utc::now();
        let give_up_after = Duration::from_secs(self.options.retry.give_up_after_s);
        let mut pending: Vec<Pending> = records.into_iter().map(Pending::new).collect();
        let mut waiting = self.waits.batch();
        let mut attempt = 0;
        while !pending.is_empty() {
            attempt += 1;
            let outcomes = self.attempt(&pending).await;
            let now = Instant::now();
            let mut appends = Vec::new();
            let mut again = Vec::new();
            let mut waits_for = Vec::new();
            for (mut event, outcome) in pending.into_iter().zip(outcomes) {
                match outcome {
                    Outcome::Done => self.count(&event.record, "done"),
                    Outcome::Emit(events) => {
                        appends.extend(events.into_iter().map(crate::NewEvent::into_record));
                        self.count(&event.record, "emitted");
                    }
                    Outcome::Wait(reason) => {
                        self.metrics.events.with_label_values(&[self.name.as_str(), "waited"]).inc();
                        waits_for.push(reason);
                        event.failing_since = None;
                        again.push(event);
                    }
                    Outcome::Retry(reason) if event.failed(now) < give_up_after => {
                        self.metrics.events.with_label_values(&[self.name.as_str(), "retried"]).inc();
                        warn!(stage = self.name, position = %event.record.position, attempt, class = reason.class,
                              cause = reason.message, "trying again");
                        again.push(event);
                    }
                    Outcome::Dead(reason) | Outcome::Retry(reason) => {
                        appends.push(dead_letter_record(&self.name, &event.record, &reason, attempt, first_seen));
                        self.bury(&event.record, &reason).await;
                    }
                }
            }
            waiting.set(waits_for.len(), waits_for.first());
            self.append(appends, stop).await?;
            pending = again;
            if !pending.is_empty() {
                self.pause(attempt, stop).await?;
            }
        }
        Ok(())
    }

    fn count(&self, record: &Record, outcome: &str) {
        self.metrics.events.with_label_values(&[self.name.as_str(), outcome]).inc();
        let age_ms = (Utc::now().timestamp_millis() - record.timestamp_ms).max(0);
        self.metrics.event_age_seconds.with_label_values(&[&self.name]).observe(age_ms as f64 / 1000.0);
    }

    /// Counts, logs and tells of a dead letter, whose record is appended by the caller.
    async fn bury(&self, record: &Record, reason: &Reason) {
        self.count(record, "dead");
        self.metrics.dead_letters.with_label_values(&[self.name.as_str(), reason.class]).inc();
        warn!(stage = self.name, position = %record.position, class = reason.class, cause = reason.message,
              "dead-lettered");
        if let Some(observer) = &self.observer {
            observer.dead(&self.name, Attributes::from_headers(&record.headers).ok().as_ref(), reason).await;
        }
    }

    /// Hands the events to the handler. A panic is pinned to the event that causes it by handing them in one by one.
    async fn attempt(&self, events: &[Pending]) -> Vec<Outcome> {
        match self.hand_in(events).await {
            Ok(outcomes) => outcomes,
            Err(reason) if events.len() == 1 => vec![Outcome::Dead(reason)],
            Err(_) => {
                let mut outcomes = Vec::with_capacity(events.len());
                for event in events {
                    let one = self.hand_in(std::slice::from_ref(event)).await;
                    outcomes.extend(one.unwrap_or_else(|reason| vec![Outcome::Dead(reason)]));
                }
                outcomes
            }
        }
    }

    /// One outcome for each event, or why the handler failed as a whole.
    async fn hand_in(&self, events: &[Pending]) -> Result<Vec<Outcome>, Reason> {
        let decoded: Vec<_> = events.iter().map(|event| decode::<H::Input>(&event.record)).collect();
        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(events.len());
        let mut messages = Vec::with_capacity(events.len());
        for decoded in decoded {
            match decoded {
                Ok(message) => {
                    messages.push(message);
                    outcomes.push(None);
                }
                Err(error) => outcomes.push(Some(Outcome::dead("decode", error))),
            }
        }
        let handled = if messages.is_empty() { Vec::new() } else { self.call_handler(messages).await? };
        let mut handled = handled.into_iter();
        let all = outcomes.into_iter().map(|outcome| outcome.or_else(|| handled.next()));
        all.collect::<Option<Vec<_>>>().ok_or_else(|| Reason {
            class: "handler",
            message: "the handler returned fewer outcomes than it was given events".to_owned(),
        })
    }

    async fn call_handler(&self, messages: Vec<Message<H::Input>>) -> Result<Vec<Outcome>, Reason> {
        let timer = self.metrics.batch_seconds.with_label_values(&[&self.name]).start_timer();
        let result = AssertUnwindSafe(self.handler.handle(messages)).catch_unwind().await;
        timer.observe_duration();
        result.map_err(|panic| {
            let message = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default();
            Reason { class: "panic", message: format!("the handler panicked: {message}") }
        })
    }

    /// Appends until the log has acknowledged everything.
    async fn append(&self, records: Vec<NewRecord>, stop: &CancellationToken) -> Result<(), Abandoned> {
        let mut attempt = 0;
        while !records.is_empty() {
            attempt += 1;
            match self.log.append(records.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_transient() => {
                    warn!(stage = self.name, %error, attempt, "append failed, trying again");
                }
                // Nothing may be dropped, so this waits for somebody who mends the cause.
                Err(error) => error!(stage = self.name, %error, attempt, "append failed, trying again"),
            }
            self.pause(attempt, stop).await?;
        }
        Ok(())
    }

    /// Waits before a repetition, unless it is time to stop.
    async fn pause(&self, attempt: u32, stop: &CancellationToken) -> Result<(), Abandoned> {
        let options = &self.options.retry;
        let doubled = options.first_pause_ms.saturating_mul(1 << (attempt - 1).min(20));
        let longest = doubled.min(options.longest_pause_ms) as f64;
        let pause = Duration::from_secs_f64(longest * rand::rng().random_range(0.8..1.2) / 1000.0);
        tokio::select! {
            () = stop.cancelled() => {
                debug!(stage = self.name, "stopping with an event that failed; it is handed in again at the next start");
                Err(Abandoned)
            }
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }
}

fn decode<P: Payload>(record: &Record) -> Result<Message<P>, DecodeError> {
    let attributes = Attributes::from_headers(&record.headers)?;
    let payload = match &record.value {
        Some(value) => Some(attributes.decode(value)?),
        None if attributes.event_type == P::TYPE => None,
        None => return Err(DecodeError::Type { found: attributes.event_type, expected: P::TYPE }),
    };
    Ok(Message { attributes, payload, position: record.position.clone() })
}
