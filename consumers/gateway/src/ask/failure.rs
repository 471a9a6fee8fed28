//! Why there is no answer.

use twin_schemas::FailureKind;

/// Why there is no answer. The text is for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Too much to do.
    Overloaded { message: String, retry_after_s: u64 },
    /// It did not come in time.
    Expired(String),
    /// Something that it needs failed.
    Unavailable(String),
    /// It can not be served as it is.
    Invalid(String),
    /// It does not fit into the log.
    TooLarge(String),
}

impl Failure {
    /// What a worker says.
    pub(super) fn told(kind: FailureKind, message: String, retry_after_s: u64) -> Self {
        match kind {
            FailureKind::Overloaded => Self::Overloaded { message, retry_after_s },
            FailureKind::Expired => Self::Expired(message),
            FailureKind::Unavailable => Self::Unavailable(message),
            FailureKind::Invalid => Self::Invalid(message),
        }
    }

    /// As metrics tell it.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Overloaded { .. } => "overloaded",
            Self::Expired(_) => "expired",
            Self::Unavailable(_) => "unavailable",
            Self::Invalid(_) | Self::TooLarge(_) => "invalid",
        }
    }
}

pub(super) fn shutting_down() -> Failure {
    Failure::Unavailable("the gateway is shutting down; ask again in a moment".to_owned())
}
