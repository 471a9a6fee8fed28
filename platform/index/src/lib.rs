//! The embedding model and the index of its vectors, which belong together: a vector means nothing to another model.
//!
//! In: a loaded [`Embedder`] and an open [`VectorIndex`]. Out: both as a [`Pair`]. When the index goes over to another
//! model (`twin reindex`), calls on the old pair fail with [`twin_vectors::Error::OtherModel`] and have done nothing;
//! [`Index::renew`] then loads the new model and hands out the new pair from there on. So no question's vector is ever
//! compared with another model's, and no question fails for it: it takes as long as loading takes, once.
//!
//! Deliberately not here: building the vectors of the new model (`processors/embedder`).

use std::sync::{Arc, PoisonError, RwLock};

use tracing::info;
use twin_onnx::{Embedder, ModelSettings};
use twin_vectors::{IndexModel, VectorIndex};

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
        model: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// An embedding model, and the index that holds its vectors.
#[derive(Clone)]
pub struct Pair {
    /// The model.
    pub embedder: Embedder,
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
    /// One loads, the others wait for it.
    renewing: tokio::sync::Mutex<()>,
}

impl Index {
    /// An index that holds vectors of this embedder.
    pub fn new(embedder: Embedder, vectors: Arc<dyn VectorIndex>) -> Self {
        let current = RwLock::new(Pair { embedder, vectors });
        Self { shared: Arc::new(Shared { current, renewing: tokio::sync::Mutex::new(()) }) }
    }

    /// The pair in use.
    pub fn current(&self) -> Pair {
        self.shared.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes up the model that the index is of now; for whom a call on the current pair has failed with
    /// [`twin_vectors::Error::OtherModel`]. Others that ask meanwhile wait for the same loading.
    pub async fn renew(&self) -> Result<(), Error> {
        let _one_at_a_time = self.shared.renewing.lock().await;
        let Pair { embedder, vectors } = self.current();
        let (model, vectors) = vectors.renewed().await?;
        if model.id == embedder.model_id() {
            return Ok(());
        }
        info!(from = embedder.model_id(), to = model.id, "the index went over to another embedding model: loading it");
        let embedder = load(embedder, model).await?;
        *self.shared.current.write().unwrap_or_else(PoisonError::into_inner) = Pair { embedder, vectors };
        Ok(())
    }
}

/// The index's record of an embedder.
pub fn index_model(embedder: &Embedder) -> IndexModel {
    IndexModel {
        id: embedder.model_id().to_owned(),
        dimension: embedder.dimension(),
        // Paths that are no Unicode are the only thing that JSON can not hold: another process then has to be restarted.
        settings: serde_json::to_string(&embedder.model_settings()).unwrap_or_default(),
    }
}

async fn load(old: Embedder, model: IndexModel) -> Result<Embedder, Error> {
    let refused = |cause: String| Error::Model { model: model.id.clone(), cause };
    let settings: ModelSettings =
        serde_json::from_str(&model.settings).map_err(|error| refused(format!("its settings: {error}")))?;
    let path = settings.model_dir.clone();
    let loading = tokio::task::spawn_blocking(move || old.load_other(settings));
    let loaded = loading.await.map_err(|error| refused(error.to_string()))?;
    let embedder = loaded.map_err(|error| refused(error.to_string()))?;
    if embedder.model_id() != model.id || embedder.dimension() != model.dimension {
        return Err(refused(format!("{} holds {} instead", path.display(), embedder.model_id())));
    }
    Ok(embedder)
}
