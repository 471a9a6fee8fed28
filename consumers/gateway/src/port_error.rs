use twin_backend::{Error as BackendError, Kind};

/// Why what is behind the gateway could not do what a request asks for.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// What was given can not be used; says what is wrong with it.
    #[error("{0}")]
    Invalid(String),
    /// There is nothing of that name.
    #[error("{0}")]
    Missing(String),
    /// It can not be done as things are; says why and what to do.
    #[error("{0}")]
    Refused(String),
    /// What is looked at can not be looked at just now; says why and what to do.
    #[error("{why}")]
    Away {
        /// Why, and what to do.
        why: String,
        /// Seconds until it is worth another try, where that is known.
        retry_after_s: Option<u64>,
    },
    /// A store or the log failed; it knows whether that passes.
    #[error("{store}: {cause}")]
    Backend {
        /// Which: `registry`, `artifact store`, `event log`.
        store: &'static str,
        /// Why.
        cause: BackendError,
    },
}

impl PortError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Away { .. } => true,
            Self::Backend { cause, .. } => cause.is_transient(),
            Self::Invalid(_) | Self::Missing(_) | Self::Refused(_) => false,
        }
    }

    /// A failure of a store that passes by itself.
    pub fn transient(store: &'static str, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Backend { store, cause: BackendError::transient(cause) }
    }
}

/// Which kind of failure it is, of one that says the two things that a port's error says.
fn kind(is_transient: bool, is_of_the_disk: bool) -> Kind {
    match (is_transient, is_of_the_disk) {
        (true, true) => Kind::Disk,
        (true, false) => Kind::Transient,
        (false, _) => Kind::Permanent,
    }
}

impl From<twin_registry::Error> for PortError {
    fn from(error: twin_registry::Error) -> Self {
        match error {
            twin_registry::Error::Missing { .. } => Self::Missing(error.to_string()),
            twin_registry::Error::Refused(why) => Self::Refused(why),
            error => {
                let kind = kind(error.is_transient(), error.is_of_the_disk());
                Self::Backend { store: "registry", cause: BackendError::new(kind, error) }
            }
        }
    }
}

impl From<twin_artifacts::Error> for PortError {
    fn from(error: twin_artifacts::Error) -> Self {
        let kind = kind(error.is_transient(), error.is_of_the_disk());
        Self::Backend { store: "artifact store", cause: BackendError::new(kind, error) }
    }
}

impl From<twin_stream::Error> for PortError {
    fn from(error: twin_stream::Error) -> Self {
        let kind = kind(error.is_transient(), error.is_of_the_disk());
        Self::Backend { store: "event log", cause: BackendError::new(kind, error) }
    }
}
