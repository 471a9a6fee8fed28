//! The event log and the stage runtime.
//!
//! In: a [`Handler`] and an [`EventLog`]. Out: every event of the handler's topic is handled at least once, in
//! order for each key; no offset passes before the event's effects and emissions are acknowledged or it is
//! dead-lettered. The runtime batches, retries with back-off, pauses a log that is faster than the handler while
//! it keeps polling, drains when partitions are taken away and on shutdown, and measures lag.
//!
//! Deliberately not here: exactly-once transactions (handlers are idempotent and fenced instead), schema
//! registries, and what any stage does.

mod claim_check;
mod dead_letters;
mod error;
mod event;
mod handler;
mod log;
mod low_water;
mod relay;
mod runtime;
pub mod testing;

pub use claim_check::ClaimCheck;
pub use dead_letters::{DeadLetter, DeadLetterCursor, DeadLetterPage, DeadLetters, NoCursor};
pub use error::Error;
pub use event::NewEvent;
pub use handler::{BatchLimits, Handler, Message, Outcome, Reason};
pub use log::{
    Consumer, Delivery, EventLog, Headers, NewRecord, Position, Record, RevokeAck, StartAt, Tail, TopicPartition,
    TopicSpec, Watermarks, partition_for,
};
pub use relay::{Outgoing, Relay};
pub use runtime::{DeadLetterObserver, Order, RetryOptions, Stage, StageMetrics, StageOptions, group_of};
