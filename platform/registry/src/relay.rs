//! Publishes the events of steps.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};
use twin_schemas::{Attributes, AuthorId, DatasetReady, ModelEvent, Payload, Topic};
use twin_stream::{EventLog, NewEvent};
use twin_telemetry::ShutdownSignal;

use crate::rules::Event;
use crate::{Error, Interest, Registry};

/// Events published together, at most.
const BATCH: usize = 64;
/// Between looks for what another process has written.
const POLL: Duration = Duration::from_millis(500);
/// The pause after a failure, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The relay from the registry to the log. A step is settled once the log has acknowledged its event; a process that
/// dies between the two appends it again, as the same event.
pub struct Relay {
    registry: Registry,
    log: Arc<dyn EventLog>,
}

impl Relay {
    /// A relay from `registry` to `log`.
    pub fn new(registry: Registry, log: Arc<dyn EventLog>) -> Self {
        Self { registry, log }
    }

    /// Publishes until the shutdown begins.
    pub async fn run(self, shutdown: ShutdownSignal) {
        let mut changes = self.registry.changes(Interest::Events);
        let mut pause = POLL;
        while !shutdown.has_begun() {
            match self.publish_some().await {
                Ok(0) => {
                    pause = POLL;
                    tokio::select! {
                        () = shutdown.begun() => {}
                        // The sender lives as long as the registry that this holds.
                        _ = changes.changed() => {}
                        () = tokio::time::sleep(POLL) => {}
                    }
                }
                Ok(settled) => {
                    pause = POLL;
                    debug!(settled, "published events of the learning loop");
                }
                Err(error) => {
                    warn!(%error, ?pause, "publishing events of the learning loop failed, trying again");
                    tokio::select! {
                        () = shutdown.begun() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Settles one batch of steps and returns how many.
    pub async fn publish_some(&self) -> Result<usize, Error> {
        let unsettled = self.registry.store.unsettled(BATCH).await?;
        if unsettled.is_empty() {
            return Ok(0);
        }
        let mut records = Vec::new();
        let mut settled = Vec::with_capacity(unsettled.len());
        for step in unsettled {
            if step.rows_missing {
                self.registry.mend(&step.author).await?;
            }
            if let Some(event) = &step.event {
                records.push(event_of(&step.author, event)?.into_record());
            }
            settled.push((step.author, step.number));
        }
        self.log.append(records).await?;
        self.registry.store.settle(&settled).await?;
        Ok(settled.len())
    }
}

fn event_of(author: &AuthorId, event: &Event) -> Result<NewEvent, Error> {
    match Topic::ALL.into_iter().find(|known| known.name() == event.topic) {
        Some(Topic::Datasets) => typed::<DatasetReady>(author, event),
        Some(Topic::Models) => typed::<ModelEvent>(author, event),
        _ => Err(Error::Stored { what: "topic", problem: format!("{} is none of the learning loop's", event.topic) }),
    }
}

fn typed<P: Payload>(author: &AuthorId, event: &Event) -> Result<NewEvent, Error> {
    let unreadable = |error: serde_json::Error| Error::Stored { what: "event", problem: error.to_string() };
    let payload: P = serde_json::from_value(event.payload.clone()).map_err(unreadable)?;
    let attributes = Attributes { id: event.id.clone(), ..Attributes::new::<P>(&event.stage, &event.subject) };
    Ok(NewEvent::new(author.as_str(), attributes, &payload))
}
