//! What every part is given, and what it gives.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::runtime::Runtime;
use twin_onnx::{EmbedderOptions, HuggingFaceTokenizer, OnnxEmbedder};
use twin_telemetry::MetricsRegistry;

use crate::comparison::Comparison;
use crate::corpus::Corpus;
use crate::figure::Figure;

/// What every part is given.
pub struct Bench {
    /// The folder that `make models` fills.
    pub cache: PathBuf,
    /// An empty folder on a disk.
    pub work: PathBuf,
    /// The program with the rivals.
    pub rivals: PathBuf,
    /// The folder with their source.
    pub rivals_source: PathBuf,
    /// Rounds of each comparison.
    pub rounds: usize,
    /// This repository's texts.
    pub corpus: Corpus,
    /// The embedding model's.
    pub tokenizer: HuggingFaceTokenizer,
    /// Runs what is asynchronous.
    pub runtime: Runtime,
}

/// What a part gives.
#[derive(Debug, Default)]
pub struct Results {
    /// What has another side.
    pub comparisons: Vec<Comparison>,
    /// What has none.
    pub figures: Vec<Figure>,
}

impl Results {
    /// Adds what another part gives.
    pub fn extend(&mut self, more: Self) {
        self.comparisons.extend(more.comparisons);
        self.figures.extend(more.figures);
    }
}

impl From<Vec<Comparison>> for Results {
    fn from(comparisons: Vec<Comparison>) -> Self {
        Self { comparisons, figures: Vec::new() }
    }
}

impl From<Vec<Figure>> for Results {
    fn from(figures: Vec<Figure>) -> Self {
        Self { comparisons: Vec::new(), figures }
    }
}

impl Bench {
    /// Reads what all parts need and empties the folder for databases.
    pub fn new(cache: PathBuf, repository: &Path, rivals: PathBuf, rounds: usize) -> Result<Self> {
        Ok(Self {
            work: work_folder(&cache)?,
            rivals,
            rivals_source: repository.join("benches/rivals"),
            rounds,
            corpus: Corpus::read(repository)?,
            tokenizer: HuggingFaceTokenizer::from_file(&cache.join("models/minilm/tokenizer.json"))?,
            runtime: Runtime::new()?,
            cache,
        })
    }

    /// The embedding model's folder.
    pub fn embedding_model(&self) -> PathBuf {
        self.cache.join("models/minilm")
    }

    /// The shared library of ONNX Runtime.
    pub fn runtime_library(&self) -> PathBuf {
        self.cache.join("onnxruntime/libonnxruntime.so")
    }

    /// The embedder's default options, with the model and library of the cache folder.
    pub fn embedder_options(&self) -> EmbedderOptions {
        let (model_dir, runtime_library) = (self.embedding_model(), self.runtime_library());
        EmbedderOptions { model_dir, runtime_library, ..EmbedderOptions::default() }
    }

    /// Loads an embedder. Takes a second.
    pub fn embedder(&self, options: EmbedderOptions) -> Result<OnnxEmbedder> {
        Ok(OnnxEmbedder::load(options, &MetricsRegistry::new())?)
    }
}

/// An empty folder for databases: beside the models and not in `/tmp`, which may be memory. What a killed run has left
/// in it goes.
fn work_folder(cache: &Path) -> Result<PathBuf> {
    let folder = cache.join("bench");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("can not empty {}", folder.display()))?;
    }
    fs::create_dir(&folder).with_context(|| format!("can not make {}", folder.display()))?;
    Ok(folder)
}
