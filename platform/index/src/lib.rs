//! The embedding model and the index of its vectors, which belong together: a vector means nothing to another model.
//!
//! In: a loaded [`Embedder`], a handle on its generation of the index, and what loads others ([`EmbedderLoader`]). Out:
//! both as a [`Pair`]. When the index goes over to another model (`twin reindex`), calls on the old pair fail with
//! [`twin_vectors::Error::Superseded`] and have done nothing; [`Index::renew`] then loads the new model and hands out the
//! new pair from there on. So no question's vector is ever compared with another model's, and no question fails for it:
//! it takes as long as loading takes, once.
//!
//! Deliberately not here: building the vectors of the new model (`processors/embedder`), and where a model's files are
//! (the engine).

use std::sync::{Arc, PoisonError, RwLock};

use tracing::info;
use twin_embedding::{Embedder, EmbedderLoader, EmbeddingModelId};
use twin_vectors::VectorIndex;

/// Why the new model could not be taken up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The index.
    #[error(transparent)]
    Index(#[from] twin_vectors::Error),
    /// The model can not be loaded.
    #[error("the index went over to the embedding model {model}, which this process can not load: {cause}")]
    Model {
        /// The index's model.
        model: EmbeddingModelId,
        /// What is wrong with it.
        cause: twin_embedding::Error,
    },
}

/// An embedding model, and the index that holds its vectors.
#[derive(Clone)]
pub struct Pair {
    /// The model.
    pub embedder: Arc<dyn Embedder>,
    /// The index of its vectors.
    pub vectors: Arc<dyn VectorIndex>,
}

/// The pair in use; clones share it.
#[derive(Clone)]
pub struct Index {
    shared: Arc<Shared>,
}

struct Shared {
    current: RwLock<Pair>,
    loader: Arc<dyn EmbedderLoader>,
    /// One loads, the others wait for it.
    renewing: tokio::sync::Mutex<()>,
}

impl Index {
    /// An index that holds vectors of this embedder. Another one is loaded by `loader`.
    pub fn new(pair: Pair, loader: Arc<dyn EmbedderLoader>) -> Self {
        let renewing = tokio::sync::Mutex::new(());
        Self { shared: Arc::new(Shared { current: RwLock::new(pair), loader, renewing }) }
    }

    /// The pair in use.
    pub fn current(&self) -> Pair {
        self.shared.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes up the generation that the index is of now, and its model; for whom a call on the current pair has failed
    /// with [`twin_vectors::Error::Superseded`]. Others that ask meanwhile wait for the same loading.
    pub async fn renew(&self) -> Result<(), Error> {
        let _one_at_a_time = self.shared.renewing.lock().await;
        let Pair { embedder, vectors } = self.current();
        let renewed = vectors.renewed().await?;
        if renewed.generation().number == vectors.generation().number {
            return Ok(());
        }
        let model = &renewed.generation().model;
        let embedder = if model.is_comparable_to(embedder.model()) {
            embedder
        } else {
            let from = &embedder.model().id;
            info!(%from, to = %model.id, "the index went over to another embedding model: loading it");
            let loading = self.shared.loader.load(model).await;
            loading.map_err(|cause| Error::Model { model: model.id.clone(), cause })?
        };
        *self.shared.current.write().unwrap_or_else(PoisonError::into_inner) = Pair { embedder, vectors: renewed };
        Ok(())
    }
}
