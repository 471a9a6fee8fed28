//! Loading models: the configured one, and the one that an index is of, wherever its folder is now.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tracing::{info, warn};
use twin_embedding::{Embedder, EmbedderLoader, EmbeddingModel, EmbeddingModelId};
use twin_telemetry::{MetricsRegistry, Readiness};

use crate::availability::Availability;
use crate::metrics::Metrics;
use crate::options::ModelSettings;
use crate::queue::Queue;
use crate::session::EmbeddingSession;
use crate::worker::{Model, Shared};
use crate::{EmbedderOptions, Error, HuggingFaceTokenizer, OnnxEmbedder, OnnxRuntime};

const MODEL: &str = "model.onnx";
const TOKENIZER: &str = "tokenizer.json";

/// Loads models with one set of options and metrics, one beside the other. Clones share them.
#[derive(Clone)]
pub struct OnnxLoader {
    options: EmbedderOptions,
    metrics: Metrics,
    availability: Availability,
}

impl OnnxLoader {
    /// A loader whose models count into `registry`.
    pub fn new(options: EmbedderOptions, registry: &MetricsRegistry) -> Result<Self, Error> {
        options.validate()?;
        Ok(Self { options, metrics: Metrics::register(registry)?, availability: Availability::default() })
    }

    /// Tells `readiness` whether every session is there: one is loaded anew after a panic.
    pub fn report_to(&self, readiness: Readiness) {
        self.availability.report_to(readiness);
    }

    /// Loads the model that the options name. Blocks for a second or two.
    pub fn load_configured(&self) -> Result<OnnxEmbedder, Error> {
        let id = model_id(&self.options.model_dir, &self.options.passage_prefix)?;
        self.load_as(self.options.clone(), id)
    }

    /// Loads the model with this id from the first folder that has it. A folder that nobody named must have its tokenizer
    /// too. Blocks for a second or two.
    fn load_by_id(&self, model: &EmbeddingModel) -> Result<OnnxEmbedder, Error> {
        let settings: ModelSettings = serde_json::from_str(&model.settings)
            .map_err(|error| Error::Settings { model: model.id.clone(), problem: error.to_string() })?;
        let folders = self.places(&settings.model_dir);
        let named = [settings.model_dir.clone(), self.configured()];
        let found = folders.iter().find_map(|folder| {
            let id = model_id(folder, &settings.passage_prefix).ok()?;
            let is_it = id == model.id && (named.contains(folder) || has_tokenizer(folder, &settings));
            is_it.then_some((folder.clone(), id))
        });
        let Some((model_dir, id)) = found else { return Err(Error::NotFound { model: model.id.clone(), folders }) };
        if model_dir != settings.model_dir {
            info!(model = %model.id, folder = %model_dir.display(), "the model of the index was found in another folder");
        }
        let embedder = self.load_as(self.options.with_model(ModelSettings { model_dir, ..settings }), id)?;
        if embedder.model().dimension != model.dimension {
            let found = embedder.model().dimension;
            let problem = format!("it has {found} dimensions, the index {}", model.dimension);
            return Err(Error::Settings { model: model.id.clone(), problem });
        }
        Ok(embedder)
    }

    fn load_as(&self, options: EmbedderOptions, id: EmbeddingModelId) -> Result<OnnxEmbedder, Error> {
        let runtime = OnnxRuntime::load(&options.runtime_library)?;
        let path = options.model_dir.join(TOKENIZER);
        let settings = options.model_settings(hash_of(&path, "")?).to_json();
        let tokenizer = HuggingFaceTokenizer::from_file(&path)?;
        let (path, device) = (options.model_dir.join(MODEL), options.device);
        let load =
            move || -> Result<Box<dyn Model>, Error> { Ok(Box::new(EmbeddingSession::load(&runtime, &path, device)?)) };
        let (metrics, availability) = (self.metrics.clone(), self.availability.clone());
        let shared = Shared { options, tokenizer, queue: Queue::new(), metrics, availability, load: Box::new(load) };
        OnnxEmbedder::start(shared, id, settings)
    }

    /// Where the configuration has its model.
    fn configured(&self) -> PathBuf {
        std::path::absolute(&self.options.model_dir).unwrap_or_else(|_| self.options.model_dir.clone())
    }

    /// Where a model may be: where it was, where the configuration has its model, and in the folders beside either.
    fn places(&self, last_seen: &Path) -> Vec<PathBuf> {
        let configured = self.configured();
        let mut places = vec![last_seen.to_owned(), configured.clone()];
        for folder in [configured.as_path(), last_seen].into_iter().filter_map(Path::parent) {
            places.extend(folders_in(folder));
        }
        let mut known = HashSet::new();
        places.retain(|place| known.insert(place.clone()));
        places
    }
}

/// The folders in a folder, by name. One that can not be read has none.
fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            warn!(folder = %folder.display(), %error, "models can not be looked for here");
            return Vec::new();
        }
    };
    let mut folders: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort_unstable();
    folders
}

#[async_trait]
impl EmbedderLoader for OnnxLoader {
    async fn load(&self, model: &EmbeddingModel) -> Result<Arc<dyn Embedder>, twin_embedding::Error> {
        let (loader, model) = (self.clone(), model.clone());
        let loading = tokio::task::spawn_blocking(move || loader.load_by_id(&model));
        // What is left of a panic is that nothing was loaded.
        let embedder = loading.await.map_err(|_| Error::Panicked)??;
        Ok(Arc::new(embedder))
    }
}

/// `<folder's name>@<first 12 hex digits of the SHA-256 of model.onnx and the passage prefix>`. Vectors of different
/// models never mix. The tokenizer is no part of it.
fn model_id(folder: &Path, passage_prefix: &str) -> Result<EmbeddingModelId, Error> {
    let hash = hash_of(&folder.join(MODEL), passage_prefix)?;
    let name = folder.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy());
    Ok(EmbeddingModelId::new(name, &hash[..12]))
}

/// Whether the tokenizer in a folder is the one that the index's texts were cut with, as far as that is known.
fn has_tokenizer(folder: &Path, settings: &ModelSettings) -> bool {
    let Some(known) = &settings.tokenizer else { return true };
    let has_it = hash_of(&folder.join(TOKENIZER), "").is_ok_and(|hash| hash == *known);
    if !has_it {
        warn!(folder = %folder.display(), "the model of the index is here too, with another tokenizer: it is not taken");
    }
    has_it
}

/// The SHA-256 of a file and what follows, hexadecimal.
fn hash_of(path: &Path, and: &str) -> Result<String, Error> {
    let unreadable = |cause| Error::File { path: path.to_owned(), cause };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut hasher).map_err(unreadable)?;
    hasher.update(and);
    Ok(hex::encode(hasher.finalize()))
}
