//! Events of the learning loop, written with the rows that they tell of, and published from here.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};
use twin_schemas::{Attributes, AuthorId, DatasetReady, ModelEvent, Payload, Topic};
use twin_sqlite::rusqlite::{Connection, Row, params};
use twin_stream::{EventLog, NewEvent};
use twin_telemetry::ShutdownSignal;

use crate::rows::{collect, json, json_text};
use crate::{Error, Registry};

/// Events published together, at most.
const BATCH: u32 = 64;
/// Between looks for what another process has written.
const POLL: Duration = Duration::from_millis(500);
/// The pause after a failure, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Puts an event into the outbox, in the transaction of the row that it tells of. The same id twice is one event.
pub(crate) fn put<P: Payload>(
    tx: &Connection,
    id: &str,
    stage: &str,
    author: &AuthorId,
    subject: &str,
    payload: &P,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO registry_outbox (event_id, stage, topic, key, subject, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (event_id) DO NOTHING",
        params![id, stage, P::TOPIC.name(), author.as_str(), subject, json_text(payload)?],
    )?;
    Ok(())
}

/// The relay from the registry to the log. An event is marked once the log has acknowledged it; a process that dies
/// between the two appends it again, as the same event.
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
        let mut changes = self.registry.changes();
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
                Ok(published) => {
                    pause = POLL;
                    debug!(published, "published events of the learning loop");
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

    /// Publishes one batch and returns how many events it held.
    pub async fn publish_some(&self) -> Result<usize, Error> {
        let open = self.registry.read(open).await?;
        let Some(last) = open.last().map(|(sequence, _)| *sequence) else { return Ok(0) };
        let count = open.len();
        let first = open[0].0;
        self.log.append(open.into_iter().map(|(_, event)| event.into_record()).collect()).await?;
        let mark = move |tx: &Connection| -> Result<(), Error> {
            tx.execute(
                "UPDATE registry_outbox SET published = 1 WHERE sequence BETWEEN ?1 AND ?2",
                params![first, last],
            )?;
            Ok(())
        };
        self.registry.database.write(mark).await?;
        Ok(count)
    }
}

/// The oldest events that are not published, without a gap: an event is never published before one that was written
/// before it.
fn open(c: &Connection) -> Result<Vec<(i64, NewEvent)>, Error> {
    let mut statement =
        c.prepare_cached("SELECT * FROM registry_outbox WHERE published = 0 ORDER BY sequence LIMIT ?1")?;
    collect(&mut statement, [BATCH], |row| Ok((row.get("sequence")?, event(row)?)))
}

fn event(row: &Row<'_>) -> Result<NewEvent, Error> {
    let topic: String = row.get("topic")?;
    match Topic::ALL.into_iter().find(|known| known.name() == topic) {
        Some(Topic::Datasets) => typed::<DatasetReady>(row),
        Some(Topic::Models) => typed::<ModelEvent>(row),
        _ => Err(Error::Stored { what: "topic", problem: format!("{topic} is none of the learning loop's") }),
    }
}

fn typed<P: Payload>(row: &Row<'_>) -> Result<NewEvent, Error> {
    let (stage, subject): (String, String) = (row.get("stage")?, row.get("subject")?);
    let id = row.get("event_id")?;
    let attributes = Attributes { id, ..Attributes::new::<P>(&stage, subject) };
    let payload: P = json(row, "payload")?;
    Ok(NewEvent::new(row.get::<_, String>("key")?, attributes, &payload))
}
