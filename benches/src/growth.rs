//! What a document costs as their number grows: the whole twin, with an embedding model that costs nothing.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::bench::{Bench, Results};
use crate::comparison::{Better, Comparison, percentile};
use crate::corpus::drawn_text;
use crate::figure::Figure;
use crate::onnx;
use crate::server::{AUTHOR, NO_MODEL, Server};
use crate::target::Target;

/// Documents at which it is looked.
const SIZES: [usize; 3] = [1_000, 10_000, 50_000];

/// Documents of an upload.
const UPLOAD: usize = 1_000;

/// Words of a document: about one chunk.
const WORDS: usize = 120;

/// Tokens that MiniLM's tokenizer knows, and numbers in its vectors.
const VOCABULARY: usize = 30_522;
const DIMENSION: usize = 384;

const SEARCHES: usize = 200;
const QUESTION_WORDS: usize = 10;

/// No worse than linear: the same for each document, but for what varies from run to run.
const SAME: Target = Target::at_least(0.9).if_missed(
    "The indexes get deeper, and their pages no longer fit into SQLite's cache of 16 MB, so that a document costs some \
    tenths of a millisecond more (embedding it costs 40 ms, which is left out here). Fewer indexes with random keys \
    would close the gap.",
);

/// What a size showed.
struct Look {
    documents: usize,
    /// Of the documents since the last look, milliseconds each.
    processor_ms: f64,
    /// In all, each.
    disk_kb: f64,
    /// In use at that moment, above that of a twin without documents: its peak is reached when it starts.
    memory_mb: f64,
    search_median_ms: f64,
    search_tail_ms: f64,
}

/// Looks at every size.
pub fn measure(bench: &Bench) -> Result<Results> {
    let server = Server::start(&[NO_MODEL, ("TWIN_EMBEDDER_MODEL_DIR", &lookup_model(bench)?)])?;
    let words = bench.corpus.words();
    let mut random = StdRng::seed_from_u64(50_000);
    let empty_mb = server.memory_mb()?;
    let (mut pushed, mut looks) = (0, Vec::new());
    for size in SIZES {
        let look = bench.runtime.block_on(grow(&server, &words, pushed, size, &mut random))?;
        looks.push(Look { memory_mb: look.memory_mb - empty_mb, ..look });
        pushed = size;
    }
    Ok(Results { comparisons: compare(&looks), figures: looks.iter().flat_map(figures).collect() })
}

/// The folder of an embedding model that costs nothing.
pub fn lookup_model(bench: &Bench) -> Result<String> {
    let model = bench.work.join("lookup");
    fs::create_dir_all(&model)?;
    onnx::write_lookup(&model.join("model.onnx"), VOCABULARY, DIMENSION)?;
    fs::copy(bench.embedding_model().join("tokenizer.json"), model.join("tokenizer.json"))?;
    model.into_os_string().into_string().ok().context("the folder's name is no text")
}

async fn grow(server: &Server, words: &[&str], from: usize, to: usize, random: &mut impl Rng) -> Result<Look> {
    let start = server.processor_seconds()?;
    for first in (from..to).step_by(UPLOAD) {
        let texts: Vec<(String, String)> = (first..to.min(first + UPLOAD))
            .map(|number| (format!("growth/{number}"), drawn_text(words, WORDS, random)))
            .collect();
        server.push(texts.iter().map(|(key, text)| (key.clone(), text.as_str()))).await?;
    }
    server.settled(to).await?;
    let spent = server.processor_seconds()? - start;
    let mut times = Vec::with_capacity(SEARCHES);
    for _ in 0..SEARCHES {
        let body = json!({ "author": AUTHOR, "query": drawn_text(words, QUESTION_WORDS, random), "k": 5 });
        let start = Instant::now();
        server.post("/v1/retrieve", &body).await?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let of = |share| percentile(&times, share).context("there were searches");
    Ok(Look {
        documents: to,
        processor_ms: spent * 1e3 / (to - from) as f64,
        disk_kb: server.disk_bytes()? as f64 / 1e3 / to as f64,
        memory_mb: server.memory_mb()?,
        search_median_ms: of(0.5)?,
        search_tail_ms: of(0.99)?,
    })
}

fn figures(look: &Look) -> Vec<Figure> {
    let figure = |what: &str, unit, number| Figure::once(format!("{} documents: {what}", look.documents), unit, number);
    vec![
        figure("processor time of each since the last look", "ms", look.processor_ms),
        figure("disk for each", "kB", look.disk_kb),
        figure("memory above that of an empty twin", "MB", look.memory_mb),
        figure("a request for passages, median", "ms", look.search_median_ms),
        figure("a request for passages, 99th percentile", "ms", look.search_tail_ms),
    ]
}

/// The last documents against the first ones.
fn compare(looks: &[Look]) -> Vec<Comparison> {
    let [first, .., last] = looks else { return Vec::new() };
    let sides = [
        ("processor time of a document", "ms", first.processor_ms, last.processor_ms),
        ("disk of a document", "kB", first.disk_kb, last.disk_kb),
        (
            "memory of a document",
            "kB",
            first.memory_mb * 1e3 / first.documents as f64,
            last.memory_mb * 1e3 / last.documents as f64,
        ),
    ];
    let comparison = |(what, unit, early, late)| {
        let name = format!("growth, at {} documents: {what}", last.documents);
        let mut comparison = Comparison::new(name, unit, Better::Lower, "the first 1000 documents").wanting(SAME);
        comparison.round(late, early);
        comparison
    };
    sides.into_iter().map(comparison).collect()
}
