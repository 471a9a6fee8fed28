use std::path::PathBuf;

/// Why something can not be trained as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting of a recipe is unknown or out of range.
    #[error("recipe: `{key}` {problem}")]
    Recipe {
        /// The setting.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A text is no recipe.
    #[error("the recipe can not be read: {0}")]
    Text(String),
    /// A text is no sweep, or one whose trials can not be.
    #[error("sweep: {0}")]
    Sweep(String),
    /// Too many of the samples do not fit; says which, and what to do.
    #[error("{0}")]
    Samples(String),
    /// A directory is no base model; says what is missing.
    #[error("{0}")]
    Base(String),
    /// A file of the base model.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether the same call may succeed later: a disk behind a network was away. A file that is not there is missing.
    pub fn is_transient(&self) -> bool {
        use std::io::ErrorKind::{InvalidData, IsADirectory, NotADirectory, NotFound, PermissionDenied, UnexpectedEof};
        let stays = [InvalidData, IsADirectory, NotADirectory, NotFound, PermissionDenied, UnexpectedEof];
        matches!(self, Self::File { source, .. } if !stays.contains(&source.kind()))
    }
}
