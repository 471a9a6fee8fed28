//! What the ports of all backends have in common: how a backend fails, and how a list is read in parts.
//!
//! A port (event log, warehouse, index, registry, leases) does not know what keeps its data, so its error can not name a
//! database's. What a caller has to know is whether the same call may succeed later: then it waits, however long, and
//! nothing fails that is not at fault itself.
//!
//! A list is read in [`Page`]s, each from where the one before ended, so that no read is longer than its page.

mod page;

use std::error::Error as StdError;

pub use page::Page;

/// What can be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It passes by itself: not reachable, busy, out of time, no leader.
    Transient,
    /// The disk did not take a write: it is full, or failing. It passes when somebody makes room.
    Disk,
    /// It does not pass: wrong credentials, damaged files, a version that this program does not know.
    Permanent,
}

/// A failure of a backend. It reads as its cause does.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    cause: Box<dyn StdError + Send + Sync>,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.cause.fmt(f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.source()
    }
}

impl Error {
    /// A failure of that kind; `cause` says what happened and, where somebody can do something about it, what.
    pub fn new(kind: Kind, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind, cause: cause.into() }
    }

    /// One that passes by itself.
    pub fn transient(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Kind::Transient, cause)
    }

    /// One that does not pass.
    pub fn permanent(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Kind::Permanent, cause)
    }

    /// What can be done about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, Kind::Transient | Kind::Disk)
    }

    /// Whether the disk did not take a write.
    pub fn is_of_the_disk(&self) -> bool {
        self.kind == Kind::Disk
    }
}
