//! The embedding engine of this process: the model with the index of its vectors, and the chunker's tokenizer.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use tracing::warn;
use twin_embedding::{Embedder, EmbedderLoader, Tokenizer};
use twin_index::{Index, Pair};
use twin_onnx::{EmbedderOptions, HuggingFaceTokenizer, OnnxLoader};
use twin_telemetry::{MetricsRegistry, Readiness};
use twin_vectors::VectorStore;

use crate::config::{Config, TOKENIZER};

/// Loads the configured model and opens the index for it.
pub(super) async fn open_index(
    options: EmbedderOptions,
    store: &dyn VectorStore,
    registry: &MetricsRegistry,
    readiness: Readiness,
) -> Result<Index> {
    let (embedder, loader) = load(options, registry).await?;
    let vectors = store.open(embedder.model()).await?;
    // What a `twin reindex` has left that was ended after its switch.
    store.drain().await?;
    loader.report_to(readiness);
    let loader: Arc<dyn EmbedderLoader> = Arc::new(loader);
    Ok(Index::new(Pair { embedder, vectors }, loader))
}

/// The same for a process that searches now and then and is asked by nobody: it is ready without.
pub(super) async fn open_index_aside(
    options: EmbedderOptions,
    store: &dyn VectorStore,
    registry: &MetricsRegistry,
) -> Result<Index> {
    let (embedder, loader) = load(options, registry).await?;
    let vectors = store.open(embedder.model()).await?;
    let loader: Arc<dyn EmbedderLoader> = Arc::new(loader);
    Ok(Index::new(Pair { embedder, vectors }, loader))
}

/// Loads the configured model, and gives what loads others beside it.
pub async fn load(options: EmbedderOptions, registry: &MetricsRegistry) -> Result<(Arc<dyn Embedder>, OnnxLoader)> {
    let loader = OnnxLoader::new(options, registry)?;
    let loading = loader.clone();
    let embedder: Arc<dyn Embedder> = Arc::new(tokio::task::spawn_blocking(move || loading.load_configured()).await??);
    Ok((embedder, loader))
}

/// The chunker's tokenizer. If it is another than the embedding model's, that is said: chunks that fit by its count may
/// not fit the model's window.
pub(super) async fn tokenizer(config: &Config) -> Result<Arc<dyn Tokenizer>> {
    let path = config.chunker.tokenizer.clone();
    let of_the_model = config.embedder.model_dir.join(TOKENIZER);
    tokio::task::spawn_blocking(move || read_tokenizer(&path, &of_the_model)).await?
}

fn read_tokenizer(path: &Path, of_the_model: &Path) -> Result<Arc<dyn Tokenizer>> {
    let tokenizer = HuggingFaceTokenizer::from_file(path)?;
    if let Some(difference) = difference(path, of_the_model) {
        let (chunker, embedder) = (path.display(), of_the_model.display());
        warn!(%chunker, %embedder, "chunks are measured with a tokenizer of their own: {difference}");
    }
    Ok(Arc::new(tokenizer))
}

/// How the chunker's tokenizer differs from the embedding model's; not at all if the files are the same.
fn difference(chunker: &Path, embedder: &Path) -> Option<String> {
    if chunker == embedder {
        return None;
    }
    match (std::fs::read(chunker), std::fs::read(embedder)) {
        (Ok(chunker), Ok(embedder)) if chunker == embedder => None,
        (Ok(_), Ok(_)) => Some("it is another than the embedding model's, whose window they may not fit".to_owned()),
        (Err(error), _) => Some(format!("it can not be compared with the embedding model's: {error}")),
        (_, Err(error)) => {
            Some(format!("the embedding model's, which it is to be compared with, can not be read: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokenizers_are_compared_by_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (model, copy, other) = (file("model", "{}"), file("copy", "{}"), file("other", "{ }"));
        assert_eq!((difference(&model, &model), difference(&copy, &model)), (None, None));
        assert!(difference(&other, &model).unwrap().contains("another"));
        assert!(difference(&model, &folder.path().join("missing")).unwrap().contains("can not be read"));
    }
}
