use std::error::Error as StdError;

/// Why there is no vector or no token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine: its files, its library, its device.
    #[error(transparent)]
    Engine(#[from] twin_backend::Error),
    /// One of the texts, which will fail again.
    #[error(transparent)]
    Text(Box<dyn StdError + Send + Sync>),
    /// The model is not loaded any more: the process ends.
    #[error("the embedder is closed")]
    Closed,
}

impl Error {
    /// Whether the same call may succeed later: a device out of memory may, a vector that is not finite will not.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_transient(),
            Self::Text(_) => false,
            Self::Closed => true,
        }
    }
}
