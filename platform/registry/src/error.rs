use crate::rules::Refused;

/// What can go wrong with the registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store.
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
    /// There is nothing of that name.
    #[error("there is no {what} {id}")]
    Missing {
        /// What: `model`, `job`, `dataset`.
        what: &'static str,
        /// The name given.
        id: String,
    },
    /// The step is not allowed in the present state; says why and what to do.
    #[error("{0}")]
    Refused(String),
    /// An artifact that a row names.
    #[error(transparent)]
    Artifact(#[from] twin_artifacts::Error),
    /// The event log, when publishing.
    #[error(transparent)]
    Log(#[from] twin_stream::Error),
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Log(error) => error.is_transient(),
            Self::Artifact(error) => error.is_transient(),
            Self::Stored { .. } | Self::Missing { .. } | Self::Refused(_) => false,
        }
    }

    /// Whether the disk did not take a write: it is full, or failing.
    pub fn is_of_the_disk(&self) -> bool {
        match self {
            Self::Store(error) => error.is_of_the_disk(),
            Self::Log(error) => error.is_of_the_disk(),
            Self::Artifact(error) => error.is_of_the_disk(),
            Self::Stored { .. } | Self::Missing { .. } | Self::Refused(_) => false,
        }
    }

    pub(crate) fn missing(what: &'static str, id: impl ToString) -> Self {
        Self::Missing { what, id: id.to_string() }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Missing { what, id } => Self::Missing { what, id },
            Refused::NotAllowed(why) => Self::Refused(why),
        }
    }
}
