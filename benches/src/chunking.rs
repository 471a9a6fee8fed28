//! The chunker, against tokenising alone: no exact chunker can be faster than its tokenizer.

use std::hint::black_box;

use anyhow::Result;
use twin_chunker::{Options, chunk};
use twin_models::Tokenizer;

use crate::comparison::{Better, Comparison, ours_first};
use crate::corpus::Corpus;
use crate::processor_time;

/// Processor seconds that a side works for in a round, at least: the clock ticks a hundred times a second.
const SECONDS: f64 = 2.0;

/// Megabytes a processor second.
pub fn compare(corpus: &Corpus, tokenizer: &Tokenizer, rounds: usize) -> Result<Comparison> {
    let options = Options::default();
    let chunks = || -> Result<()> {
        for document in &corpus.documents {
            black_box(chunk(document, tokenizer, &options)?);
        }
        Ok(())
    };
    let tokens = || -> Result<()> {
        for document in &corpus.documents {
            black_box(tokenizer.spans(&document.text)?);
        }
        Ok(())
    };
    let bytes: usize = corpus.documents.iter().map(|document| document.text.len()).sum();
    let mut comparison =
        Comparison::new("chunking", "MB a processor second", Better::Higher, "tokenising alone (a floor)");
    for round in 0..rounds {
        let (ours, floor) = if ours_first(round) {
            let ours = rate(bytes, chunks)?;
            (ours, rate(bytes, tokens)?)
        } else {
            let floor = rate(bytes, tokens)?;
            (rate(bytes, chunks)?, floor)
        };
        comparison.round(ours, floor);
    }
    Ok(comparison)
}

/// Megabytes a processor second of passes over so many bytes each.
fn rate(bytes: usize, pass: impl Fn() -> Result<()>) -> Result<f64> {
    let start = processor_time::seconds()?;
    let mut passes = 0_u32;
    loop {
        pass()?;
        passes += 1;
        let spent = processor_time::seconds()? - start;
        if spent >= SECONDS {
            return Ok(bytes as f64 * f64::from(passes) / 1e6 / spent);
        }
    }
}
