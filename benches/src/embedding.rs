//! The embedder with its default options, against the same embedder with batches of 32 texts.

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use twin_chunker::{Options, chunk};
use twin_embedding::Embedder;
use twin_onnx::{EmbedderOptions, OnnxEmbedder};

use crate::bench::Bench;
use crate::comparison::{Better, Comparison, Side, one_round};
use crate::processor_time;

/// Texts that a side embeds in a round.
const TEXTS: usize = 256;

/// The batch size that sentence-transformers and most guides use.
const FIXED_ROWS: usize = 32;

/// The unit of all comparisons of embedding.
pub const UNIT: &str = "tokens a processor second";

/// Chunks of whole documents, the documents in a random order that is the same in every run.
pub fn chunks(bench: &Bench, count: usize) -> Result<Vec<String>> {
    let mut documents: Vec<_> = bench.corpus.documents.iter().collect();
    documents.shuffle(&mut StdRng::seed_from_u64(1));
    let mut texts = Vec::with_capacity(count);
    for document in documents {
        let chunks = chunk(document, &bench.tokenizer, &Options::default())?;
        texts.extend(chunks.into_iter().map(|chunk| chunk.text));
        if texts.len() >= count {
            texts.truncate(count);
            return Ok(texts);
        }
    }
    ensure!(texts.len() >= FIXED_ROWS, "the corpus has only {} chunks", texts.len());
    Ok(texts)
}

/// Tokens of the texts, special tokens included, each cut to the model's window.
pub fn tokens(bench: &Bench, texts: &[String]) -> Result<usize> {
    let window = bench.embedder_options().max_tokens;
    texts.iter().map(|text| Ok(bench.tokenizer.encode(text, window)?.len())).sum()
}

/// Embeds the texts in requests of so many, which wait for each other only where the embedder's queue is full.
/// Processor seconds.
pub fn seconds(bench: &Bench, embedder: &OnnxEmbedder, texts: &[String], request: usize) -> Result<f64> {
    let requests: Vec<Vec<String>> = texts.chunks(request).map(<[String]>::to_vec).collect();
    let start = processor_time::seconds()?;
    bench.runtime.block_on(try_join_all(requests.into_iter().map(|texts| embedder.embed_passages(texts))))?;
    let spent = processor_time::seconds()? - start;
    ensure!(spent > 0.0, "{} texts took less time than the clock can tell", texts.len());
    Ok(spent)
}

/// Ours against batches of 32 in arrival order, and against such batches sorted by length.
pub fn compare(bench: &Bench) -> Result<Vec<Comparison>> {
    let texts = chunks(bench, TEXTS)?;
    let tokens = tokens(bench, &texts)? as f64;
    let options = bench.embedder_options();
    let fixed = EmbedderOptions { batch_rows: FIXED_ROWS, batch_tokens: usize::MAX, ..options.clone() };
    let (ours, fixed) = (bench.embedder(options)?, bench.embedder(fixed)?);
    let rate =
        |embedder: &OnnxEmbedder, request| -> Result<f64> { Ok(tokens / seconds(bench, embedder, &texts, request)?) };
    // A request of 32 texts is a batch as it arrives; a larger request is sorted by length before it is cut.
    let mut sides: [Side<'_>; 3] =
        [Box::new(|| rate(&ours, TEXTS)), Box::new(|| rate(&fixed, FIXED_ROWS)), Box::new(|| rate(&fixed, TEXTS))];
    let mut arrival = Comparison::new("embedding", UNIT, Better::Higher, "fixed batches of 32 in arrival order");
    let mut sorted = Comparison::new("embedding", UNIT, Better::Higher, "fixed batches of 32 sorted by length");
    for round in 0..bench.rounds {
        let [packed, in_arrival_order, in_length_order] = one_round(round, &mut sides)?;
        arrival.round(packed, in_arrival_order);
        sorted.round(packed, in_length_order);
    }
    Ok(vec![arrival, sorted])
}
