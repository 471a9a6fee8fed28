//! Benchmarks: what a part of the system costs, beside something that it can be held against.
//!
//! In: a checkout of this repository (its own texts are the corpus) and the models that `make models` has fetched.
//! Out: one Markdown table, and with `--write` the page `docs/benchmarks.md`.
//!
//! Promises: both sides of a comparison do their work in the same process and run, one after the other in each
//! round, and which side goes first alternates; a number is the median of the rounds and comes with their range. So a
//! ratio holds on a busy machine and on another processor better than any rate does.
//!
//! Deliberately not here: end-to-end load (`tests`), the language model, and any threshold that fails a build. Where
//! the other side is a floor (less work than ours, on purpose), its name says so.

mod chunking;
mod comparison;
mod corpus;
mod embedding;
mod event_log;
mod processor_time;
mod report;
mod vector_index;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tokio::runtime::Runtime;
use twin_models::Tokenizer;

use comparison::Comparison;
use corpus::Corpus;

/// As in the shipped binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the parts of LLM Twin and prints one table.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder that `make models` fills. Databases are made in its folder `bench`, for a while.
    #[arg(long, env = "TWIN_CACHE")]
    cache: PathBuf,
    /// The checkout whose texts are the corpus.
    #[arg(long, default_value = ".")]
    repository: PathBuf,
    /// Rounds of each comparison, at least 3.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Also write `docs/benchmarks.md`.
    #[arg(long)]
    write: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.rounds >= 3, "--rounds is {}, must be at least 3", arguments.rounds);
    let comparisons = measure(&arguments)?;
    let table = report::table(&comparisons);
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "{table}")?;
    if arguments.write {
        let page = arguments.repository.join("docs/benchmarks.md");
        fs::write(&page, report::page(&table, arguments.rounds)?)
            .with_context(|| format!("can not write {}", page.display()))?;
        writeln!(stdout, "\nwritten to {}", page.display())?;
    }
    Ok(())
}

fn measure(arguments: &Arguments) -> Result<Vec<Comparison>> {
    let Arguments { cache, repository, rounds, .. } = arguments;
    let runtime = Runtime::new()?;
    let corpus = Corpus::read(repository)?;
    let tokenizer = Tokenizer::from_file(&cache.join("models/minilm/tokenizer.json"))?;
    let work = work_folder(cache)?;
    let mut comparisons = Vec::new();
    progress("chunking");
    comparisons.push(chunking::compare(&corpus, &tokenizer, *rounds)?);
    progress("embedding");
    let texts = embedding::sample(&corpus, &tokenizer)?;
    comparisons.extend(runtime.block_on(embedding::compare(cache, &tokenizer, &texts, *rounds))?);
    progress("event log");
    comparisons.extend(runtime.block_on(event_log::compare(&work, *rounds))?);
    for chunks in [2_000, 20_000] {
        progress(&format!("vector index, {chunks} chunks"));
        comparisons.extend(runtime.block_on(vector_index::compare(&work, &corpus, chunks, *rounds))?);
    }
    Ok(comparisons)
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

/// Says on the standard error stream what is being measured: the table alone is on the standard output.
fn progress(what: &str) {
    // Nobody may be reading it.
    let _ = writeln!(std::io::stderr(), "    measuring: {what}");
}
