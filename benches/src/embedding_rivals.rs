//! The embedder on one thread, against fastembed on one thread, and against what ONNX Runtime could do at most.

use anyhow::{Result, ensure};
use twin_embedding::Tokenizer;
use twin_onnx::EmbedderOptions;

use crate::bench::Bench;
use crate::comparison::{Better, Comparison, Side, one_round};
use crate::embedding::{UNIT, chunks, seconds, tokens};
use crate::onnx::PRODUCT;
use crate::rivals::{Rivals, Task};
use crate::target::Target;

/// Chunks of the corpus that a side embeds in a round.
const CHUNKS: usize = 128;

/// Texts of a whole window that a side embeds in a round.
const WINDOWS: usize = 48;

/// Matrix products of a task.
const PRODUCTS: usize = 100;

const IF_SLOW_ON_WINDOWS: &str = "Texts of one length leave nothing to packing, which is what makes the difference on \
     real chunks; what remains is ONNX Runtime's own work. Larger steps would need another form of the model (fused \
     attention, fewer bits).";

/// The shape of MiniLM-L6-v2.
const LAYERS: f64 = 6.0;
const HIDDEN: f64 = 384.0;
const INNER: f64 = 1536.0;

/// Tokens a processor second beside fastembed, and operations a processor second beside a single matrix product.
pub fn compare(bench: &Bench) -> Result<Vec<Comparison>> {
    let window = bench.embedder_options().max_tokens;
    let (chunks, windows) = (chunks(bench, CHUNKS)?, windows(bench, window, WINDOWS)?);
    let (chunk_tokens, window_tokens) = (tokens(bench, &chunks)? as f64, tokens(bench, &windows)? as f64);
    ensure!(window_tokens == (window * WINDOWS) as f64, "a text does not fill the window");

    let ours = bench.embedder(EmbedderOptions { sessions: 1, ..bench.embedder_options() })?;
    let rivals = Rivals::start(bench, window, &[&chunks, &windows])?;
    let products = || Ok(PRODUCT.operations() * PRODUCTS as f64 / rivals.processor_seconds(Task::Products(PRODUCTS))?);
    let mut sides: [Side<'_>; 5] = [
        Box::new(|| Ok(chunk_tokens / seconds(bench, &ours, &chunks, CHUNKS)?)),
        Box::new(|| Ok(chunk_tokens / rivals.processor_seconds(Task::Embed(0))?)),
        Box::new(|| Ok(window_tokens / rivals.processor_seconds(Task::Embed(1))?)),
        Box::new(|| Ok(window_tokens / seconds(bench, &ours, &windows, WINDOWS)?)),
        Box::new(products),
    ];

    let fastembed = "fastembed, batches of 32";
    let against = |name, other| Comparison::new(name, UNIT, Better::Higher, other);
    let mut by_chunks = against("embedding chunks, one thread", fastembed).wanting(Target::at_least(1.2));
    let mut by_windows = against("embedding 256-token texts, one thread", fastembed)
        .wanting(Target::at_least(1.2).if_missed(IF_SLOW_ON_WINDOWS));
    let (name, other) = ("embedding 256-token texts, one thread", "ONNX Runtime's matrix product (a floor)");
    let unit = "GFLOP a processor second";
    let mut by_products = Comparison::new(name, unit, Better::Higher, other).wanting(Target::at_least(0.78));
    for round in 0..bench.rounds {
        let [our_chunks, their_chunks, their_windows, our_windows, products] = one_round(round, &mut sides)?;
        by_chunks.round(our_chunks, their_chunks);
        by_windows.round(our_windows, their_windows);
        by_products.round(our_windows * operations_of_a_token(window as f64) / 1e9, products / 1e9);
    }
    Ok(vec![by_chunks, by_windows, by_products])
}

/// Operations for each token of a text with so many: the products with the weights (queries, keys, values, output, and
/// the two of the inner layer), and those of the attention.
fn operations_of_a_token(tokens: f64) -> f64 {
    LAYERS * (2.0 * (4.0 * HIDDEN * HIDDEN + 2.0 * HIDDEN * INNER) + 4.0 * HIDDEN * tokens)
}

/// Texts that fill the model's window: somewhat longer ones, which every embedder cuts.
fn windows(bench: &Bench, window: usize, count: usize) -> Result<Vec<String>> {
    let mut texts = Vec::with_capacity(count);
    for document in &bench.corpus.documents {
        let spans = bench.tokenizer.spans(&document.text)?;
        for piece in spans.chunks_exact(window + window / 8) {
            if texts.len() == count {
                return Ok(texts);
            }
            if let [first, .., last] = piece {
                texts.push(document.text[first.start..last.end].to_owned());
            }
        }
    }
    ensure!(texts.len() == count, "the corpus has only {} texts of a whole window", texts.len());
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_a_full_window_takes_24_million_operations() {
        assert!((operations_of_a_token(256.0) / 1e6 - 23.6).abs() < 0.05);
    }
}
