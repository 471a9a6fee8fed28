//! Publishes the events of steps.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use twin_coordination::Member;
use twin_schemas::{Attributes, AuthorId, DatasetReady, ModelEvent, Payload, Topic};
use twin_stream::{EventLog, NewEvent, NewRecord, Outgoing, Relay};

use crate::rules::Event;
use crate::{Error, Interest, Registry};

/// Events published together, at most.
const BATCH: usize = 64;
/// Between looks for what another process has written.
const POLL: Duration = Duration::from_millis(500);

/// The relay from the registry to the log. A step is settled once the log has acknowledged its event; a process that
/// dies between the two appends it again, as the same event. Whoever reads the events passes over one that comes late:
/// each names what it is about, and the steps say what is true.
pub fn relay(registry: Registry, log: Arc<dyn EventLog>, member: Member) -> Relay<Steps> {
    Relay::new(Steps(registry), log, member, POLL, BATCH)
}

/// Steps whose events the log does not hold yet.
pub struct Steps(Registry);

#[async_trait]
impl Outgoing for Steps {
    type Mark = (AuthorId, u64);
    type Error = Error;

    fn name(&self) -> &'static str {
        "outbox/learning"
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.0.changes(Interest::Events)
    }

    async fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.0.store.unsettled(1).await?.is_empty())
    }

    async fn oldest(&self, limit: usize) -> Result<Vec<(Self::Mark, Option<NewRecord>)>, Error> {
        let mut oldest = Vec::new();
        for step in self.0.store.unsettled(limit).await? {
            if step.rows_missing {
                self.0.mend(&step.author).await?;
            }
            let event = step.event.as_ref().map(|event| event_of(&step.author, event)).transpose()?;
            oldest.push(((step.author, step.number), event.map(NewEvent::into_record)));
        }
        Ok(oldest)
    }

    async fn mark(&self, appended: Vec<Self::Mark>) -> Result<(), Error> {
        Ok(self.0.store.settle(&appended).await?)
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
