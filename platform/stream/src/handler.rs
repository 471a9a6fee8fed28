//! What a stage is: a handler of batches of typed events.

use std::time::Duration;

use async_trait::async_trait;
use twin_schemas::{Attributes, DecodeError, DocumentId, Payload, Revision};

use crate::event::NewEvent;
use crate::log::Position;

/// A stage. It is given events and says for each what became of it; the runtime does the rest.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// The payload it reads.
    type Input: Payload;

    /// Handles a batch (of one partition, in order) and returns one outcome for each message, in the same order.
    ///
    /// An event may come again, after a crash or a retry: effects must be idempotent. CPU work of more than half a
    /// millisecond belongs on its own threads ([`tokio::task::spawn_blocking`] or a pool).
    async fn handle(&self, batch: Vec<Message<Self::Input>>) -> Vec<Outcome>;
}

/// A decoded event.
#[derive(Debug, Clone)]
pub struct Message<P> {
    /// Its attributes.
    pub attributes: Attributes,
    /// Its payload; none is a tombstone: the document named by the attributes was deleted.
    pub payload: Option<P>,
    /// Where it stands in the log.
    pub position: Position,
}

impl<P> Message<P> {
    /// The document and revision that the event is about.
    pub fn document(&self) -> Result<(DocumentId, Revision), DecodeError> {
        self.attributes.document()
    }
}

/// What became of an event.
#[derive(Debug)]
pub enum Outcome {
    /// Its effects are durable.
    Done,
    /// These events follow from it. They are appended and acknowledged before its offset passes.
    Emit(Vec<NewEvent>),
    /// It can never succeed. It goes to the dead-letter topic.
    Dead(Reason),
    /// It failed, perhaps by its own fault, and may succeed later. It is handed in again after a pause, and dead-lettered
    /// when it has failed for too long.
    Retry(Reason),
    /// A store or a service that it needs is away, which is no fault of its own. It is handed in again after a pause, for
    /// as long as that takes.
    Wait(Reason),
}

impl Outcome {
    /// Dead, with a class from a small closed set and a message for people.
    pub fn dead(class: &'static str, message: impl ToString) -> Self {
        Self::Dead(Reason { class, message: message.to_string() })
    }

    /// Retry, with a class from a small closed set and a message for people.
    pub fn retry(class: &'static str, message: impl ToString) -> Self {
        Self::Retry(Reason { class, message: message.to_string() })
    }

    /// Wait, with a class from a small closed set and a message for people.
    pub fn wait(class: &'static str, message: impl ToString) -> Self {
        Self::Wait(Reason { class, message: message.to_string() })
    }
}

/// Why an event did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// For metrics and filters: `decode`, `warehouse`, `panic`, ….
    pub class: &'static str,
    /// For people.
    pub message: String,
}

/// Bounds of a batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Events.
    pub count: usize,
    /// Bytes of keys, values and headers.
    pub bytes: usize,
    /// How long the first event of a batch waits for others. Zero: take what is there.
    pub linger: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { count: 64, bytes: 4 << 20, linger: Duration::ZERO }
    }
}
