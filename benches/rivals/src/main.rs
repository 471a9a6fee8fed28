//! What the benchmarks hold LLM Twin against, in a process of its own: fastembed, text-splitter, and ONNX Runtime's
//! own matrix product.
//!
//! In, on the standard input: a line with what to work on ([`Setup`]), then a line for each task ([`Task`]). Out: for
//! each task, once it is done, a line with how many pieces came out. Whoever asks reads this process's time from the
//! kernel, so nothing is measured here.

mod embed;
mod products;
mod split;

use std::io::{BufRead, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use ort::environment::Environment;
use serde::Deserialize;

use embed::FastEmbed;
use products::Products;
use split::{Document, Splitters};

/// As on the other side.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What to work on.
#[derive(Debug, Deserialize)]
struct Setup {
    /// The shared library of ONNX Runtime.
    runtime: PathBuf,
    /// The folder of the embedding model.
    model: PathBuf,
    /// The embedding model's window, tokens.
    window: usize,
    /// An ONNX file with one matrix product, and the shape of its input.
    products: PathBuf,
    products_shape: [usize; 2],
    /// The most tokens of a chunk.
    max_tokens: usize,
    /// Texts to split.
    documents: Vec<Document>,
    /// Lists of texts to embed.
    texts: Vec<Vec<String>>,
}

/// What to do.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Task {
    /// So many matrix products.
    Products(usize),
    /// Embed the list of texts with this number.
    Embed(usize),
    /// Split every document as plain text.
    SplitPlain,
    /// Split every document along its structure.
    SplitStructured,
}

struct Rivals {
    products: Products,
    fastembed: FastEmbed,
    splitters: Splitters,
    documents: Vec<Document>,
    texts: Vec<Vec<String>>,
}

fn main() -> Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let setup = lines.next().context("the first line is missing")??;
    let mut rivals = Rivals::new(serde_json::from_str(&setup)?)?;
    for line in lines {
        let done = rivals.run(serde_json::from_str(&line?)?)?;
        let mut answers = std::io::stdout().lock();
        writeln!(answers, "{done}")?;
        answers.flush()?;
    }
    Ok(())
}

impl Rivals {
    fn new(setup: Setup) -> Result<Self> {
        let environment: Environment = ort::init_from(&setup.runtime)?.with_telemetry(false).build()?;
        let tokenizer = setup.model.join("tokenizer.json");
        Ok(Self {
            products: Products::load(&environment, &setup.products, setup.products_shape)?,
            fastembed: FastEmbed::load(&environment, &setup.model, setup.window)?,
            splitters: Splitters::load(&tokenizer, setup.max_tokens)?,
            documents: setup.documents,
            texts: setup.texts,
        })
    }

    fn run(&mut self, task: Task) -> Result<usize> {
        match task {
            Task::Products(count) => self.products.run(count),
            Task::Embed(list) => self.fastembed.embed(self.texts.get(list).context("there is no such list")?),
            Task::SplitPlain => Ok(self.splitters.plain(&self.documents)),
            Task::SplitStructured => Ok(self.splitters.structured(&self.documents)),
        }
    }
}
