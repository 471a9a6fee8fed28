use twin_schemas::DocumentId;

use crate::LOOK_UP_MAX;

/// What can go wrong with the warehouse.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What keeps the warehouse.
    #[error(transparent)]
    Store(#[from] twin_backend::Error),
    /// A stored value that this version can not read.
    #[error("stored {what} can not be read: {problem}")]
    Stored {
        /// What.
        what: &'static str,
        /// Why.
        problem: String,
    },
    /// The write of a sync, or of a removal, that has no right to it any more. Nothing was written.
    #[error("the source was removed, registered anew or claimed by another meanwhile")]
    ClaimLost,
    /// More documents than are looked up at once.
    #[error("{asked} documents are asked for, of {LOOK_UP_MAX} that can be looked up at once")]
    TooMany {
        /// How many.
        asked: usize,
    },
    /// The leases.
    #[error("leases: {0}")]
    Leases(#[source] twin_backend::Error),
    /// The event log, when publishing.
    #[error(transparent)]
    Log(#[from] twin_stream::Error),
}

impl Error {
    /// [`Error::TooMany`] if these are more documents than are looked up at once.
    pub fn if_too_many(documents: &[DocumentId]) -> Result<(), Self> {
        let asked = documents.len();
        if asked > LOOK_UP_MAX { Err(Self::TooMany { asked }) } else { Ok(()) }
    }

    /// Whether the disk did not take a write: it is full, or failing.
    pub fn is_of_the_disk(&self) -> bool {
        match self {
            Self::Store(error) => error.is_of_the_disk(),
            Self::Log(error) => error.is_of_the_disk(),
            Self::Leases(error) => error.is_of_the_disk(),
            Self::Stored { .. } | Self::ClaimLost | Self::TooMany { .. } => false,
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Log(error) => error.is_transient(),
            Self::Leases(error) => error.is_transient(),
            Self::Stored { .. } | Self::ClaimLost | Self::TooMany { .. } => false,
        }
    }
}
