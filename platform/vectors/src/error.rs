use twin_embedding::{EmbeddingModel, EmbeddingModelId};

/// What can go wrong with the vector index.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store of the index.
    #[error(transparent)]
    Store(#[from] twin_backend::Error),
    /// The index holds vectors of another embedding model than the caller's.
    #[error(
        "the index holds vectors of {} ({} dimensions), the embedding model is {} ({} dimensions): set `embedder` back \
         to the model of the index, or run `twin reindex`",
        found.id, found.dimension, wanted.id, wanted.dimension
    )]
    OtherModel {
        /// The model of the vectors in the index.
        found: Box<EmbeddingModel>,
        /// The caller's model.
        wanted: Box<EmbeddingModel>,
    },
    /// The index has gone over to another generation of vectors: the handle has to be renewed.
    #[error("the index went over to the vectors of {model}, those of generation {generation} are gone")]
    Superseded {
        /// The handle's generation.
        generation: u64,
        /// The model of the index now.
        model: EmbeddingModelId,
    },
    /// Vectors of this generation are not being built, or not any more.
    #[error("generation {generation} is not being built any more: another `twin reindex` has taken its place")]
    NotBuilding {
        /// The builder's generation.
        generation: u64,
    },
    /// The generation that was active before has to be deleted first.
    #[error("the vectors of the model before are still to be deleted")]
    Draining,
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
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Draining => true,
            Self::OtherModel { .. }
            | Self::Superseded { .. }
            | Self::NotBuilding { .. }
            | Self::NoIndex
            | Self::Dimension { .. }
            | Self::Stored { .. } => false,
        }
    }
}
