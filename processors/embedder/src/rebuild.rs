use twin_onnx::Embedder;
use twin_sqlite::Rebuild;

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
    Embedding(#[from] twin_onnx::Error),
}

/// Gives every chunk a vector of `embedder` and then switches the index over to it. `progress` is told how many chunks
/// have one, and of how many. Chunks that are written meanwhile are found in a further round; the rounds get shorter
/// until one finds nothing left.
pub async fn rebuild(
    embedder: &Embedder,
    index: &Rebuild,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<(), RebuildError> {
    loop {
        let (mut done, all) = index.progress().await?;
        let mut last = None;
        loop {
            let chunks = index.lacking(last.as_ref(), CHUNKS).await?;
            let Some(newest) = chunks.last().cloned() else { break };
            last = Some(newest);
            let texts = chunks.iter().map(|chunk| chunk.text.clone()).collect();
            let vectors = embedder.embed_passages(texts).await?;
            done += chunks.len() as u64;
            index.put(chunks.into_iter().zip(vectors).collect()).await?;
            progress(done, all.max(done));
        }
        if index.switch().await? {
            return Ok(());
        }
    }
}
