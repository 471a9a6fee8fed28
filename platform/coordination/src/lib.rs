//! Who does what, when there are many: leases.
//!
//! Several processes may run the same service. What only one of them should do at a time (a sync of a source, publishing
//! from an outbox, a training job) is done by the one that holds the lease of that name. A lease that is not renewed for
//! its time to live passes to whoever asks next.
//!
//! Promises: one holder at a time, as far as time can tell; an [`Epoch`] that grows with each change of holder and never
//! goes back, also across release and expiry.
//!
//! A lease saves work and is never what makes an effect right. A holder that stands still does not know that it lost its
//! lease: it wakes up and goes on for a moment, next to its successor. So every effect is fenced where it is written, by
//! the lease's epoch, by a revision or by a unique name.
//!
//! No two clocks are compared. A lease holds a counter of its renewals instead of a deadline, and whoever waits for it
//! takes it when the counter stood still for the time to live by his own monotonic clock. A clock that is put back or
//! forward so neither makes two holders nor keeps a lease from passing on; the price is that a waiter who just came waits
//! that long from his first look. (The record version number of the lock client of Amazon's DynamoDB is the same.)
//!
//! Deliberately not here: what the leases are for, and writes while there is nothing to do. A lease is held while there
//! is work, and released at its end.

mod held;
mod member;
pub mod testing;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use twin_backend::Error;
use uuid::Uuid;

pub use held::{Held, Lost};
pub use member::{Member, Options};

/// The lease port.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes the lease, or takes it up again. None if another holds it, and has not stood still for its time to live
    /// while this handle watched; nothing is written then.
    ///
    /// The owner that holds it already keeps its epoch. Another process of the same node takes over at once, with a new
    /// epoch: a node has one process, so the one before is gone.
    async fn acquire(&self, name: &str, owner: &Owner, ttl: Duration) -> Result<Option<Lease>, Error>;

    /// Says that the holder lives. False if it holds the lease no more: it was given up, or another took it.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, Error>;

    /// Gives it up. A lease that was lost is left to whoever has it.
    async fn release(&self, lease: &Lease) -> Result<(), Error>;

    /// The leases that are held whose names begin with `prefix`, by name. One whose holder is gone is listed until it has
    /// stood still for its time to live while this handle watched: from the first look on, so ask more than once.
    async fn holders(&self, prefix: &str) -> Result<Vec<Lease>, Error>;
}

/// Counts the holders of a lease: a number that a later holder exceeds.
pub type Epoch = u64;

/// A lease that was given to an owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    /// What it is for, as `source/<id>`.
    pub name: String,
    /// Who holds it.
    pub owner: Owner,
    /// Which holder in its history that is, from 1 on.
    pub epoch: Epoch,
}

/// Who holds leases: a process of a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    node: String,
    process: Uuid,
}

impl Owner {
    /// This process of the node. The node's name is unique among those that run, and stays over a restart, so that the
    /// next process goes on at once with what this one held.
    pub fn new(node: impl Into<String>) -> Self {
        Self::of(node, Uuid::new_v4())
    }

    /// A process of the node, as stored.
    pub fn of(node: impl Into<String>, process: Uuid) -> Self {
        Self { node: node.into(), process }
    }

    /// The node.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The process.
    pub fn process(&self) -> Uuid {
        self.process
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.node, self.process)
    }
}
