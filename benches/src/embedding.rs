//! The embedder with its default options, against the same model with batches of 32 texts.

use std::path::Path;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use twin_chunker::{Options, chunk};
use twin_models::{Embedder, EmbedderOptions, Tokenizer};
use twin_telemetry::Registry;

use crate::comparison::{Better, Comparison, ours_first};
use crate::corpus::Corpus;
use crate::processor_time;

/// Texts that a side embeds in a round.
const TEXTS: usize = 256;

/// The batch size that sentence-transformers and most guides use.
const FIXED_ROWS: usize = 32;

/// Chunks of whole documents, the documents in a random order that is the same in every run.
pub fn sample(corpus: &Corpus, tokenizer: &Tokenizer) -> Result<Vec<String>> {
    let mut documents: Vec<_> = corpus.documents.iter().collect();
    documents.shuffle(&mut StdRng::seed_from_u64(1));
    let mut texts = Vec::with_capacity(TEXTS);
    for document in documents {
        let chunks = chunk(document, tokenizer, &Options::default())?;
        texts.extend(chunks.into_iter().map(|chunk| chunk.text));
        if texts.len() >= TEXTS {
            texts.truncate(TEXTS);
            return Ok(texts);
        }
    }
    ensure!(texts.len() >= FIXED_ROWS, "the corpus has only {} chunks", texts.len());
    Ok(texts)
}

/// Tokens a processor second: ours against batches of 32 in arrival order, and against such batches sorted by length.
pub async fn compare(cache: &Path, tokenizer: &Tokenizer, texts: &[String], rounds: usize) -> Result<Vec<Comparison>> {
    let options = EmbedderOptions {
        model_dir: cache.join("models/minilm"),
        runtime_library: cache.join("onnxruntime/libonnxruntime.so"),
        ..EmbedderOptions::default()
    };
    let fixed = EmbedderOptions { batch_rows: FIXED_ROWS, batch_tokens: usize::MAX, ..options.clone() };
    let ours = load(options).await?;
    let fixed = load(fixed).await?;
    let mut tokens = 0;
    for text in texts {
        tokens += tokenizer.encode(text, ours.max_tokens())?.len();
    }
    let rate = async |embedder: &Embedder, request: usize| rate(embedder, texts, request, tokens).await;

    let unit = "tokens a processor second";
    let mut arrival = Comparison::new("embedding", unit, Better::Higher, "fixed batches of 32 in arrival order");
    let mut sorted = Comparison::new("embedding", unit, Better::Higher, "fixed batches of 32 sorted by length");
    for round in 0..rounds {
        // A request of 32 texts is a batch as it arrives; a larger request is sorted by length before it is cut.
        let first = if ours_first(round) { Some(rate(&ours, TEXTS).await?) } else { None };
        let in_arrival_order = rate(&fixed, FIXED_ROWS).await?;
        let in_length_order = rate(&fixed, TEXTS).await?;
        let packed = match first {
            Some(first) => first,
            None => rate(&ours, TEXTS).await?,
        };
        arrival.round(packed, in_arrival_order);
        sorted.round(packed, in_length_order);
    }
    Ok(vec![arrival, sorted])
}

async fn load(options: EmbedderOptions) -> Result<Embedder> {
    let load = move || Embedder::load(options, &Registry::new());
    Ok(tokio::task::spawn_blocking(load).await??)
}

/// Embeds the texts in requests of so many, which wait for each other only where the embedder's queue is full.
async fn rate(embedder: &Embedder, texts: &[String], request: usize, tokens: usize) -> Result<f64> {
    let requests: Vec<Vec<String>> = texts.chunks(request).map(<[String]>::to_vec).collect();
    let start = processor_time::seconds()?;
    try_join_all(requests.into_iter().map(|texts| embedder.embed_passages(texts))).await?;
    let spent = processor_time::seconds()? - start;
    ensure!(spent > 0.0, "{tokens} tokens took less time than the clock can tell");
    Ok(tokens as f64 / spent)
}
