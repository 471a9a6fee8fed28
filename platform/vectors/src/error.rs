use twin_sqlite::rusqlite;

/// What can go wrong with the vector index.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The embedded index's database.
    #[error(transparent)]
    Sqlite(#[from] twin_sqlite::Error),
    /// The index was built with another embedding model.
    #[error(
        "the index holds vectors of {found} ({found_dimension} dimensions), the configuration says {wanted} \
         ({wanted_dimension}): set `embedder.model_dir` back, or start with a fresh data folder and sync again"
    )]
    OtherModel {
        /// The model of the vectors in the index.
        found: String,
        /// Its dimensions.
        found_dimension: usize,
        /// The configured model.
        wanted: String,
        /// Its dimensions.
        wanted_dimension: usize,
    },
    /// A vector of the wrong length.
    #[error("a vector of {found} dimensions in an index of {wanted}")]
    Dimension {
        /// Its length.
        found: usize,
        /// The index's.
        wanted: usize,
    },
    /// A stored value that this version can not read.
    #[error("stored {what} can not be read: {problem}")]
    Stored {
        /// What.
        what: &'static str,
        /// Why.
        problem: String,
    },
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Sqlite(error) if error.is_transient())
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error.into())
    }
}
