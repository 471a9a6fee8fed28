//! What ours is held against, as a process: the program in `benches/rivals`, which says what the tasks are.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use twin_schemas::Category;

use crate::bench::Bench;
use crate::{onnx, processor_time};

/// The running program.
pub struct Rivals {
    child: Child,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
}

/// What it can do, with what the program calls it.
#[derive(Debug, Clone, Copy)]
pub enum Task {
    /// So many of [`onnx::PRODUCT`].
    Products(usize),
    /// Embed the list of texts with this number.
    Embed(usize),
    /// Split all documents of the corpus as plain text.
    SplitPlain,
    /// Split them along their structure.
    SplitStructured,
}

impl Rivals {
    /// Starts the program with the documents of the corpus and these lists of texts.
    pub fn start(bench: &Bench, max_tokens: usize, texts: &[&[String]]) -> Result<Self> {
        let products = bench.work.join("product.onnx");
        onnx::write_product(&products)?;
        let documents: Vec<Value> = bench
            .corpus
            .documents
            .iter()
            .map(|document| json!({ "text": document.text, "code": document.meta.category == Category::Code }))
            .collect();
        let setup = json!({
            "runtime": bench.runtime_library(),
            "model": bench.embedding_model(),
            "window": bench.embedder_options().max_tokens,
            "products": products,
            "products_shape": [onnx::PRODUCT.rows, onnx::PRODUCT.inner],
            "max_tokens": max_tokens,
            "documents": documents,
            "texts": texts,
        });
        let mut child =
            Command::new(&bench.rivals).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().with_context(|| {
                format!("can not start {}: run scripts/bench, which builds it", bench.rivals.display())
            })?;
        let mut tasks = child.stdin.take().context("the input is piped")?;
        let answers = BufReader::new(child.stdout.take().context("the output is piped")?);
        writeln!(tasks, "{setup}")?;
        let rivals = Self { child, pipes: RefCell::new((tasks, answers)) };
        // The first task waits until everything is loaded, so that no later one does.
        rivals.run(Task::Products(1))?;
        Ok(rivals)
    }

    /// Does a task, and says how many pieces came out.
    pub fn run(&self, task: Task) -> Result<usize> {
        let task = match task {
            Task::Products(count) => json!({ "products": count }),
            Task::Embed(list) => json!({ "embed": list }),
            Task::SplitPlain => json!("split_plain"),
            Task::SplitStructured => json!("split_structured"),
        };
        let (tasks, answers) = &mut *self.pipes.borrow_mut();
        writeln!(tasks, "{task}")?;
        let mut answer = String::new();
        answers.read_line(&mut answer)?;
        ensure!(!answer.is_empty(), "the rivals ended during {task}");
        answer.trim().parse().with_context(|| format!("the rivals answered {answer:?}"))
    }

    /// Processor seconds of a task; short ones are repeated.
    pub fn processor_seconds(&self, task: Task) -> Result<f64> {
        processor_time::of_a_pass(self.child.id(), || self.run(task).map(drop))
    }
}

impl Drop for Rivals {
    fn drop(&mut self) {
        // It fails only if the process is gone, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
