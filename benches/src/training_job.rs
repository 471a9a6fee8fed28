//! A whole training job as a running twin starts it, in a process of its own: its memory, and what its export takes.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use twin_artifacts::Artifacts;
use twin_schemas::JobId;
use twin_stack::default_binary;
use twin_trainer::{JobRunner, LocalRunner, Options, Order, Product, Status};

use crate::bench::Bench;
use crate::corpus::drawn_text;
use crate::figure::Figure;
use crate::memory;
use crate::target::Target;

/// The default language model.
const MODEL: &str = "models/smollm2-135m-instruct-f32";
/// Packs of 256 tokens, which is the default: memory does not grow with their number.
const RECIPE: &str = "max_steps = 4\nwarmup_steps = 1\npack_tokens = 256\n";
/// Enough to fill the packs: a sample has about 80 tokens.
const SAMPLES: usize = 24;
const QUESTION_WORDS: usize = 8;
const ANSWER_WORDS: usize = 20;
/// Between looks at the job.
const LOOK: Duration = Duration::from_millis(10);

/// Peak memory of the job, and seconds of the export.
pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let folder = bench.work.join("training-job");
    let (peak_mb, product) = bench.runtime.block_on(job(bench, &folder))?;
    // The adapter is written first and the manifest last; the merged weights are between them.
    let (adapter, manifest) = ("adapter/adapter_config.json", "manifest.json");
    let export = written(&product.output.join(manifest))?.duration_since(written(&product.output.join(adapter))?)?;
    Ok(vec![
        Figure::once("a training job, SmolLM2-135M, packs of 256 tokens: peak memory", "GB", peak_mb / 1e3)
            .wanting(Target::at_most(2.8)),
        Figure::once("a training job: export of the merged weights, flushed to disk", "s", export.as_secs_f64())
            .wanting(Target::at_most(5.0)),
    ])
}

/// Runs the job, and looks at its memory until it has ended.
async fn job(bench: &Bench, folder: &Path) -> Result<(f64, Product)> {
    let artifacts = folder.join("artifacts");
    let store = Artifacts::in_folder(&artifacts)?;
    let order = Order {
        job: JobId("0".repeat(64)),
        base: bench.cache.join(MODEL),
        recipe: RECIPE.to_owned(),
        train: vec![store.put(samples(&bench.corpus.words()).into_bytes()).await?],
        validation: Vec::new(),
        artifacts,
        threads: 0,
    };
    let jobs = folder.join("jobs");
    let arguments = ["job", "train"].map(str::to_owned).to_vec();
    let runner = LocalRunner::new(default_binary()?, arguments, jobs.clone(), &Options::default());
    runner.submit(&order).await?;
    let mut peak_mb: f64 = 0.0;
    loop {
        if let Some(process) = worker(&jobs.join(&order.job.0))? {
            peak_mb = peak_mb.max(memory::of_process_mb(process, "VmHWM")?.unwrap_or(0.0));
        }
        match runner.status(&order.job).await? {
            Status::Running(_) => tokio::time::sleep(LOOK).await,
            Status::Succeeded(product) => return Ok((peak_mb, product)),
            other => bail!("the training job did not succeed: {other:?}"),
        }
    }
}

/// The process that works on a job says so in the lock of its folder. None: it has not yet.
fn worker(folder: &Path) -> Result<Option<u32>> {
    let Ok(lock) = fs::read(folder.join("lock")) else { return Ok(None) };
    let Ok(identity) = serde_json::from_slice::<Value>(&lock) else { return Ok(None) };
    let process = identity["pid"].as_u64().context("the lock of a job names its process")?;
    Ok(Some(u32::try_from(process)?))
}

/// Conversations in words of this repository.
fn samples(words: &[&str]) -> String {
    let mut random = StdRng::seed_from_u64(256);
    let mut said = |role: &str, count| json!({ "role": role, "content": drawn_text(words, count, &mut random) });
    let lines: Vec<String> = (0..SAMPLES)
        .map(|_| json!({ "messages": [said("user", QUESTION_WORDS), said("assistant", ANSWER_WORDS)] }).to_string())
        .collect();
    lines.join("\n")
}

fn written(path: &Path) -> Result<SystemTime> {
    let metadata = fs::metadata(path).with_context(|| format!("can not look at {}", path.display()))?;
    Ok(metadata.modified()?)
}
