use twin_embedding::Embedder;
use twin_vectors::{Generation, VectorStore};

/// Chunks embedded and written together: enough to keep every session of the embedder at work, and few enough that the
/// write is short and a kill loses little.
const CHUNKS: usize = 64;

/// Why the vectors of the new model could not be built. What was built is kept.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The index.
    #[error("the index: {0}")]
    Index(#[from] twin_vectors::Error),
    /// The model.
    #[error("embedding: {0}")]
    Embedding(#[from] twin_embedding::Error),
}

/// Gives every chunk a vector of `embedder` in the generation that was prepared for it, switches the index over to that,
/// and deletes the vectors of before. `progress` is told how many chunks have one, and of how many. Chunks that are
/// written meanwhile are found in a further round; the rounds get shorter until one finds nothing left.
pub async fn rebuild(
    embedder: &dyn Embedder,
    store: &dyn VectorStore,
    building: &Generation,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<(), RebuildError> {
    loop {
        fill(embedder, store, building, progress).await?;
        if store.switch(building).await? {
            return Ok(store.drain().await?);
        }
    }
}

/// One round.
async fn fill(
    embedder: &dyn Embedder,
    store: &dyn VectorStore,
    building: &Generation,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<(), RebuildError> {
    let coverage = store.coverage(building).await?;
    let (mut filled, mut behind) = (coverage.filled, None);
    loop {
        let chunks = store.pending(building, behind, CHUNKS).await?;
        let Some(last) = chunks.last() else { return Ok(()) };
        behind = Some(last.key);
        let texts = chunks.iter().map(|chunk| chunk.text.clone()).collect();
        let vectors = embedder.embed_passages(texts).await?;
        filled += chunks.len() as u64;
        store.fill(building, chunks.into_iter().zip(vectors).collect()).await?;
        progress(filled, coverage.chunks.max(filled));
    }
}
