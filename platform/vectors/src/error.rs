/// What can go wrong with the vector index.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What keeps the index.
    #[error(transparent)]
    Store(#[from] twin_backend::Error),
    /// The index holds vectors of another embedding model than the caller's.
    #[error(
        "the index holds vectors of {found} ({found_dimension} dimensions), the embedding model is {wanted} \
         ({wanted_dimension}): set `embedder` back to the model of the index, or run `twin reindex`"
    )]
    OtherModel {
        /// The model of the vectors in the index.
        found: String,
        /// Its dimensions.
        found_dimension: usize,
        /// The caller's model.
        wanted: String,
        /// Its dimensions.
        wanted_dimension: usize,
    },
    /// Nothing was ever put into the index.
    #[error("there is no index yet: `twin run` makes one with the configured model")]
    NoIndex,
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
        matches!(self, Self::Store(error) if error.is_transient())
    }
}
