//! llama.cpp as a process: `benches/rivals/llama.py`, which says what goes in and out.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::bench::Bench;

/// The running program.
pub struct Llama {
    child: Child,
    tasks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Tokens a second.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Of the prompt.
    pub prefill: f64,
    /// Of what is written.
    pub decode: f64,
}

impl Llama {
    /// Starts it with a GGUF file, on as many threads as there are cores.
    pub fn start(bench: &Bench, model: &Path) -> Result<Self> {
        let python = bench.cache.join("llama/bin/python");
        let mut child = Command::new(&python)
            .arg(bench.rivals_source.join("llama.py"))
            .arg(model)
            .arg(std::thread::available_parallelism()?.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // llama.cpp tells there what it does.
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("can not start {}: run scripts/bench, which installs it", python.display()))?;
        let tasks = child.stdin.take().context("the input is piped")?;
        let answers = BufReader::new(child.stdout.take().context("the output is piped")?);
        let mut llama = Self { child, tasks, answers };
        // The first task waits until everything is loaded, so that no later one does.
        llama.run(32, 2)?;
        Ok(llama)
    }

    /// Reads a prompt of so many tokens and writes so many.
    pub fn run(&mut self, prompt: u64, completion: u64) -> Result<Rates> {
        writeln!(self.tasks, "{}", json!({ "prompt": prompt, "completion": completion }))?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        ensure!(!answer.is_empty(), "llama.cpp ended during a prompt of {prompt} tokens");
        let answer: Value = serde_json::from_str(&answer)?;
        let rate = |name: &str| answer[name].as_f64().with_context(|| format!("no rate of {name}: {answer}"));
        Ok(Rates { prefill: rate("prefill")?, decode: rate("decode")? })
    }
}

impl Drop for Llama {
    fn drop(&mut self) {
        // It fails only if the process is gone, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
