//! Benchmarks: what the system and its parts cost, beside something that it can be held against.
//!
//! In: a checkout of this repository (its own texts are the corpus), what `make models` and `scripts/kafka` have
//! fetched, the `twin` binary, and the rivals that `scripts/bench` has built and installed. Out: Markdown tables, and
//! with `--write` the page `docs/benchmarks.md`.
//!
//! Promises: both sides of a comparison do their work in the same run, one after the other in each round, and which
//! side goes first alternates; a number is the median of the rounds and comes with their range. So a ratio holds on a
//! busy machine and on another processor better than any rate does. What has a target says whether it is met.
//!
//! Deliberately not here: faults and overload (`tests`), and any threshold that fails a build. Where the other side is
//! a floor (less work than ours, on purpose), its name says so.

mod bench;
mod both_logs;
mod chunking;
mod commits;
mod comparison;
mod corpus;
mod dataset_memory;
mod datasets;
mod embedding;
mod embedding_rivals;
mod event_log;
mod figure;
mod growth;
mod kafka_tools;
mod language_model;
mod llama;
mod memory;
mod onnx;
mod page;
mod peft;
mod pipeline;
mod processor_time;
mod quoting;
mod refusal;
mod report;
mod rivals;
mod server;
mod switching;
mod target;
mod training;
mod training_job;
mod unasked;
mod vector_index;

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};

use bench::{Bench, Results};

/// As in the shipped binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures LLM Twin and its parts and prints what came out.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder that `make models` fills. Databases are made in its folder `bench`, for a while.
    #[arg(long, env = "TWIN_CACHE")]
    cache: PathBuf,
    /// The checkout whose texts are the corpus.
    #[arg(long, default_value = ".")]
    repository: PathBuf,
    /// The program built from `benches/rivals`.
    #[arg(long)]
    rivals: PathBuf,
    /// Rounds of each comparison, at least 3.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Measure only these parts, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Also write `docs/benchmarks.md`.
    #[arg(long, conflicts_with = "only")]
    write: bool,
}

/// What a process of this program does whose memory another one of it measures.
#[derive(Debug, Parser)]
struct BuildArguments {
    /// Build a dataset version of the documents in that folder, and nothing else.
    #[arg(long, value_name = "FOLDER")]
    build_dataset: PathBuf,
}

/// What can be measured by itself, in the order of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Chunking,
    Embedding,
    EmbeddingRivals,
    EventLog,
    KafkaTools,
    VectorIndex,
    Pipeline,
    BothLogs,
    Growth,
    Quoting,
    Refusal,
    LanguageModel,
    Datasets,
    DatasetMemory,
    Training,
    TrainingJob,
    Switching,
    Unasked,
}

fn main() -> Result<()> {
    if let Ok(BuildArguments { build_dataset }) = BuildArguments::try_parse() {
        return dataset_memory::build(&build_dataset);
    }
    let Arguments { cache, repository, rivals, rounds, only, write } = Arguments::parse();
    ensure!(rounds >= 3, "--rounds is {rounds}, must be at least 3");
    let bench = Bench::new(cache, &repository, rivals, rounds)?;
    let mut results = Results::default();
    for part in Part::value_variants() {
        if only.is_empty() || only.contains(part) {
            results.extend(part.measure(&bench).with_context(|| format!("measuring {part:?} failed"))?);
        }
    }
    let tables = report::tables(&results);
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "{tables}")?;
    if write {
        let page = repository.join("docs/benchmarks.md");
        fs::write(&page, page::text(&tables, rounds)?).with_context(|| format!("can not write {}", page.display()))?;
        writeln!(stdout, "\nwritten to {}", page.display())?;
    }
    Ok(())
}

impl Part {
    fn measure(self, bench: &Bench) -> Result<Results> {
        // On the standard error stream: the tables alone are on the standard output. Nobody may be reading it.
        let _ = writeln!(std::io::stderr(), "    measuring: {self:?}");
        match self {
            Self::Chunking => Ok(chunking::compare(bench)?.into()),
            Self::Embedding => Ok(embedding::compare(bench)?.into()),
            Self::EmbeddingRivals => Ok(embedding_rivals::compare(bench)?.into()),
            Self::EventLog => Ok(bench.runtime.block_on(event_log::compare(&bench.work, bench.rounds))?.into()),
            Self::KafkaTools => Ok(kafka_tools::compare(bench)?.into()),
            Self::VectorIndex => {
                let mut results = vector_index::compare(bench, vector_index::SMALLER)?;
                results.extend(vector_index::compare(bench, vector_index::LARGEST)?);
                Ok(results)
            }
            Self::Pipeline => pipeline::compare(bench),
            Self::BothLogs => Ok(both_logs::measure(bench)?.into()),
            Self::Growth => growth::measure(bench),
            Self::Quoting => Ok(quoting::measure(bench)?.into()),
            Self::Refusal => Ok(refusal::measure(bench)?.into()),
            Self::LanguageModel => language_model::measure(bench),
            Self::Datasets => Ok(datasets::measure(bench)?.into()),
            Self::DatasetMemory => Ok(dataset_memory::measure(bench)?.into()),
            Self::Training => training::compare(bench),
            Self::TrainingJob => Ok(training_job::measure(bench)?.into()),
            Self::Switching => switching::measure(bench),
            Self::Unasked => Ok(unasked::measure(bench)?.into()),
        }
    }
}
