//! Pushing documents until they are searchable, against embedding their chunks alone.

use anyhow::{Result, ensure};
use twin_chunker::{Options as ChunkerOptions, chunk};
use twin_cleaner::{Options as CleanerOptions, clean};
use twin_schemas::{Category, CleanedDocument, MediaType, RawDocument};

use crate::bench::{Bench, Results};
use crate::comparison::{Better, Comparison, Side, one_round};
use crate::corpus::document;
use crate::embedding::seconds;
use crate::figure::Figure;
use crate::server::{NO_MODEL, Server};
use crate::target::Target;

/// Documents in all rounds together.
const DOCUMENTS: usize = 3_000;

/// Texts of a request to the embedder, where it is alone.
const REQUEST: usize = 256;

/// Processor seconds of both, and the most memory that the twin had.
pub fn compare(bench: &Bench) -> Result<Results> {
    let texts = bench.corpus.pieces(DOCUMENTS);
    ensure!(texts.len() == DOCUMENTS, "the corpus has only {} pieces", texts.len());
    let server = Server::start(&[NO_MODEL])?;
    let embedder = bench.embedder(bench.embedder_options())?;
    let each = DOCUMENTS / bench.rounds;
    let name = format!("{each} documents from push to searchable");
    let mut comparison =
        Comparison::new(name, "processor seconds", Better::Lower, "embedding their chunks and nothing else");
    let mut all_chunks = 0;
    for (round, texts) in texts.chunks_exact(each).enumerate() {
        let chunks = chunks(bench, texts)?;
        all_chunks += chunks.len();
        let mut sides: [Side<'_>; 2] = [
            Box::new(|| push(bench, &server, round, texts, all_chunks)),
            Box::new(|| seconds(bench, &embedder, &chunks, REQUEST)),
        ];
        let [whole, alone] = one_round(round, &mut sides)?;
        comparison.round(whole, alone);
    }
    let shares = comparison.ours.iter().zip(&comparison.other).map(|(whole, alone)| whole / alone).collect();
    let share = Figure::new("the whole pipeline's processor time, as a multiple of embedding's", "x", shares)
        .wanting(Target::at_most(1.10));
    let memory = Figure::once("peak memory of twin run without a language model", "MB", server.peak_memory_mb()?)
        .wanting(Target::at_most(600.0));
    Ok(Results { comparisons: vec![comparison], figures: vec![share, memory] })
}

/// Processor seconds of the twin until it has so many chunks in all.
fn push(bench: &Bench, server: &Server, round: usize, texts: &[String], all_chunks: usize) -> Result<f64> {
    let start = server.processor_seconds()?;
    let documents = texts.iter().enumerate().map(|(number, text)| (format!("{round}/{number}"), text.as_str()));
    let chunks = bench.runtime.block_on(async {
        server.push(documents).await?;
        server.settled((round + 1) * texts.len()).await
    })?;
    ensure!(chunks == all_chunks, "the twin has {chunks} chunks, the same texts cut here have {all_chunks}");
    Ok(server.processor_seconds()? - start)
}

/// The chunks that the twin makes of these texts, the few that it rejects left out.
fn chunks(bench: &Bench, texts: &[String]) -> Result<Vec<String>> {
    let mut chunks = Vec::new();
    for text in texts {
        let CleanedDocument { meta, text: content, .. } = document(Category::Article, "piece", text.clone())?;
        let raw = RawDocument { meta, media_type: MediaType::Text, content };
        if let Ok(cleaned) = clean(&raw, &CleanerOptions::default()) {
            chunks.extend(chunk(&cleaned, &bench.tokenizer, &ChunkerOptions::default())?);
        }
    }
    Ok(chunks.into_iter().map(|chunk| chunk.text).collect())
}
