//! PEFT as a process: `benches/rivals/lora.py`, which says what goes in and out.

use std::fs::{self, DirEntry};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};

use crate::bench::Bench;

/// The running program.
pub struct Peft {
    child: Child,
    steps: ChildStdin,
    losses: BufReader<ChildStdout>,
    /// The loss of the first step, which is the base model's.
    pub first_loss: f64,
}

impl Peft {
    /// Starts it with a model's folder and the conversations of a step and tokens of each, on as many threads as there are
    /// cores; none where it is not installed: it takes several GB, which `scripts/peft --install` fetches when somebody asks
    /// for it.
    pub fn start(bench: &Bench, model: &Path, (sequences, tokens): (usize, usize)) -> Result<Option<Self>> {
        let folder = bench.cache.join("peft");
        // The script leaves a marker when all is there.
        let is_marker = |entry: DirEntry| entry.file_name().to_str().is_some_and(|name| name.starts_with(".ok-"));
        if !fs::read_dir(&folder).into_iter().flatten().flatten().any(is_marker) {
            return Ok(None);
        }
        let python = folder.join("bin/python");
        let mut child = Command::new(&python)
            .arg("-B")
            .arg(bench.rivals_source.join("lora.py"))
            .arg(model)
            .args([std::thread::available_parallelism()?.get(), sequences, tokens].map(|number| number.to_string()))
            .envs([("HF_HUB_OFFLINE", "1"), ("HF_HUB_DISABLE_PROGRESS_BARS", "1"), ("PYTHONWARNINGS", "ignore")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("can not start {}", python.display()))?;
        let steps = child.stdin.take().context("the input is piped")?;
        let losses = BufReader::new(child.stdout.take().context("the output is piped")?);
        let mut peft = Self { child, steps, losses, first_loss: f64::NAN };
        // The first step waits until everything is loaded and pays for the first allocations, so that no later one does.
        peft.first_loss = peft.step()?;
        Ok(Some(peft))
    }

    /// The process, for its processor time.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Does a training step. Returns its loss.
    pub fn step(&mut self) -> Result<f64> {
        writeln!(self.steps)?;
        let mut loss = String::new();
        self.losses.read_line(&mut loss)?;
        loss.trim().parse().with_context(|| format!("PEFT ended in a step, or told no loss: {loss:?}"))
    }
}

impl Drop for Peft {
    fn drop(&mut self) {
        // It fails only if the process is gone, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
