//! Why a document is not fit to be searched.

use std::fmt;

/// Why a document is not fit to be searched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct Rejection {
    /// The class of the reason.
    pub kind: RejectionKind,
    /// For people.
    pub detail: String,
}

impl Rejection {
    pub(crate) fn new(kind: RejectionKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

/// The closed set of reasons for a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectionKind {
    /// A bot check instead of the page.
    Challenge,
    /// A request to sign in.
    Login,
    /// A cookie or consent dialogue.
    Consent,
    /// A teaser that ends in an offer to subscribe.
    Paywall,
    /// Next to no words.
    Empty,
    /// More bytes or tags than allowed.
    TooLarge,
    /// Nested deeper than allowed.
    TooDeep,
    /// It took longer than allowed.
    TooSlow,
    /// Mostly replacement or control characters: bytes read in the wrong encoding.
    NotText,
}

impl RejectionKind {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Challenge,
        Self::Login,
        Self::Consent,
        Self::Paywall,
        Self::Empty,
        Self::TooLarge,
        Self::TooDeep,
        Self::TooSlow,
        Self::NotText,
    ];

    /// The name used in metrics and in the warehouse.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Challenge => "challenge",
            Self::Login => "login",
            Self::Consent => "consent",
            Self::Paywall => "paywall",
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::TooSlow => "too_slow",
            Self::NotText => "not_text",
        }
    }
}

impl fmt::Display for RejectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
