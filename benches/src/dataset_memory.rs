//! What memory the build of a dataset version takes as its documents become more, in processes of their own.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use twin_schemas::CleanedDocument;

use crate::bench::Bench;
use crate::corpus;
use crate::datasets;
use crate::figure::Figure;
use crate::memory;

/// The smaller build has every so manieth document of the larger one.
const TIMES: usize = 4;
/// Between looks at a process's memory.
const LOOK: Duration = Duration::from_millis(5);

/// Peak memory of a build of some documents, and of so many times as many.
pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for step in [TIMES, 1] {
        let documents: Vec<CleanedDocument> = bench.corpus.documents.iter().step_by(step).cloned().collect();
        let bytes: usize = documents.iter().map(|document| document.text.len()).sum();
        let name = format!(
            "datasets: peak memory of a build of {} documents ({:.1} MB of text)",
            documents.len(),
            bytes as f64 / 1e6
        );
        let folder = bench.work.join(format!("dataset-memory-{step}"));
        bench.runtime.block_on(datasets::store(&folder, &documents))?;
        figures.push(Figure::once(name, "MB", peak_mb(&folder)?));
    }
    Ok(figures)
}

/// Builds a version of the documents in that folder: what the process that is looked at does.
pub fn build(folder: &Path) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(datasets::build(folder, &corpus::author()?))
}

/// The most memory of a process that builds, pages of mapped files left out: those are the system's to take back.
fn peak_mb(folder: &Path) -> Result<f64> {
    let program = std::env::current_exe().context("the path of this program is not known")?;
    let mut child = Command::new(program).arg("--build-dataset").arg(folder).spawn().context("can not start itself")?;
    let mut peak: f64 = 0.0;
    let status = loop {
        peak = peak.max(memory::of_process_mb(child.id(), "RssAnon")?.unwrap_or(0.0));
        match child.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(LOOK),
        }
    };
    ensure!(status.success(), "the build of {} ended with {status}", folder.display());
    Ok(peak)
}
