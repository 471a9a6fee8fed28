use std::any::Any;

use crate::settings::Invalid;

/// What can go wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder or repository can not be read.
    #[error("{location}: {problem}")]
    Location {
        /// The path or address.
        location: String,
        /// Why, and what to do.
        problem: String,
    },
    /// An address that must not be asked.
    #[error("{url} is refused: {problem}")]
    Refused {
        /// The address.
        url: String,
        /// Why.
        problem: String,
    },
    /// No answer.
    #[error("{url}: {problem}")]
    Http {
        /// The address.
        url: String,
        /// The chain of causes.
        problem: String,
    },
    /// An answer that is of no use.
    #[error("{url} answered {status}: {advice}")]
    Status {
        /// The address.
        url: String,
        /// HTTP status.
        status: u16,
        /// What it means for this source.
        advice: &'static str,
    },
    /// An answer that is too large.
    #[error("{url} is larger than {limit_bytes} bytes once decompressed (http.max_body_bytes)")]
    TooLarge {
        /// The address.
        url: String,
        /// The limit.
        limit_bytes: u64,
    },
    /// The server asks to be left alone for a while.
    #[error("{url} answered {status}: try again in {after_s} s")]
    RetryAfter {
        /// The address.
        url: String,
        /// HTTP status, 429 or 503.
        status: u16,
        /// Seconds to wait.
        after_s: u64,
    },
    /// Nothing was found out within the time that whoever registers a source waits.
    #[error("{location}: nothing was found out about it within {within_s} s")]
    NotInTime {
        /// The path or address.
        location: String,
        /// Seconds.
        within_s: u64,
    },
    /// The feed was taken down for good.
    #[error("{url} answered 410: the feed is gone for good; its documents stay until they are retracted")]
    FeedGone {
        /// The address.
        url: String,
    },
    /// Not RSS, Atom or JSON Feed.
    #[error("{url} is not a feed (RSS, Atom or JSON Feed): {problem}")]
    NotAFeed {
        /// The address.
        url: String,
        /// Why.
        problem: String,
    },
    /// No source of this kind is registered with this build.
    #[error("source kind {kind:?} is not known; there are: {kinds}")]
    UnknownKind {
        /// The kind.
        kind: String,
        /// Those there are.
        kinds: String,
    },
    /// What the source is registered with can not be used.
    #[error(transparent)]
    Settings(#[from] Invalid),
    /// A source panicked: a defect.
    #[error("the source panicked (a defect): {0}")]
    Panicked(String),
    /// The sync that this work was for has ended.
    #[error("the sync was stopped")]
    Stopped,
    /// The artifact store.
    #[error(transparent)]
    Artifacts(#[from] twin_artifacts::Error),
    /// The warehouse.
    #[error(transparent)]
    Warehouse(#[from] twin_warehouse::Error),
}

impl Error {
    /// Whether the same may succeed in a while, though nothing is changed. A server that can not be reached at all is not
    /// one of these: its address may be wrong.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RetryAfter { .. } | Self::NotInTime { .. } | Self::Stopped => true,
            Self::Status { status, .. } => *status == 503,
            Self::Artifacts(error) => error.is_transient(),
            Self::Warehouse(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Seconds that the server asked to wait, where it did.
    pub fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::RetryAfter { after_s, .. } => Some(*after_s),
            _ => None,
        }
    }

    /// From what a panic carries.
    pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Self::Panicked(text.unwrap_or_else(|| "no message".to_owned()))
    }
}

/// An error with its causes, on one line: libraries say "error sending request" and keep the reason one level down.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}
