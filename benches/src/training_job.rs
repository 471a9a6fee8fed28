//! A whole training job as a running twin starts it, in a process of its own: its memory, and what its export takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use twin_artifacts::Artifacts;
use twin_jobs::{LocalRunner, Resources, Runner, Status};
use twin_schemas::JobId;
use twin_stack::default_binary;
use twin_trainer::{Keep, Training, TrainingOrder};
use twin_training::Base;

use crate::bench::Bench;
use crate::corpus::drawn_text;
use crate::figure::Figure;
use crate::memory;
use crate::target::Target;

/// The default language model.
const MODEL: &str = "models/smollm2-135m-instruct-f32";
/// Packs of 256 tokens: memory grows with their length and not with their number.
const RECIPE: &str = "rank = 8\ntargets = [\"q_proj\", \"v_proj\"]\nlearning_rate = 0.001\nmax_steps = 4\nwarmup_steps = 1\n\
    pack_tokens = 256\n";
/// Enough to fill the packs: a sample has about 80 tokens.
const SAMPLES: usize = 24;
const QUESTION_WORDS: usize = 8;
const ANSWER_WORDS: usize = 20;
/// Between looks at the job.
const LOOK: Duration = Duration::from_millis(10);

/// Peak memory of the job, and seconds of the export.
pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let folder = bench.work.join("training-job");
    let (peak_mb, output) = bench.runtime.block_on(job(bench, &folder))?;
    // The adapter is written first and the manifest last; the merged weights are between them.
    let (adapter, manifest) = ("adapter/adapter_config.json", "manifest.json");
    let export = written(&output.join(manifest))?.duration_since(written(&output.join(adapter))?)?;
    Ok(vec![
        Figure::once("a training job, SmolLM2-135M, packs of 256 tokens: peak memory", "GB", peak_mb / 1e3)
            .wanting(Target::at_most(2.8)),
        Figure::once("a training job: export of the merged weights, flushed to disk", "s", export.as_secs_f64())
            .wanting(Target::at_most(5.0)),
    ])
}

/// Runs the job, and looks at its memory until it has ended. Its output is still in its folder then.
async fn job(bench: &Bench, folder: &Path) -> Result<(f64, PathBuf)> {
    let store = Artifacts::in_folder(&folder.join("artifacts"))?;
    let base = bench.cache.join(MODEL);
    let order = TrainingOrder {
        job: JobId("0".repeat(64)),
        base: Base::open(&base)?.fingerprint,
        recipe: RECIPE.to_owned(),
        train: vec![store.put(samples(&bench.corpus.words()).into_bytes()).await?],
        validation: Vec::new(),
        following: Vec::new(),
        threads: 0,
        max_left_out: 0.0,
        keep: Keep::Merged,
        checkpoint: None,
        folds: None,
    };
    let jobs = folder.join("jobs");
    // The child reads its configuration from a file: where its artifacts are and which base model is there.
    let configuration = folder.join("twin.toml");
    let (data, base) = (folder.display().to_string(), base.display().to_string());
    fs::write(&configuration, format!("data = {data:?}\n[trainer]\nbase = {base:?}\n"))?;
    let arguments = ["--config", &configuration.display().to_string(), "job", "train"].map(str::to_owned).to_vec();
    let runner: &dyn Runner<Training> = &LocalRunner::new(default_binary()?, arguments, jobs.clone());
    let resources = Resources { memory_bytes: 16 << 30, seconds: 3_600 };
    runner.submit(&order.job.0, 1, &resources, &order).await?;
    let (mut peak_mb, job) = (0.0_f64, jobs.join(&order.job.0));
    loop {
        if let Some(process) = worker(&job)? {
            peak_mb = peak_mb.max(memory::of_process_mb(process, "VmHWM")?.unwrap_or(0.0));
        }
        match runner.status(&order.job.0).await? {
            Status::Pending | Status::Running(_) => tokio::time::sleep(LOOK).await,
            Status::Succeeded(_) => return Ok((peak_mb, job.join("output"))),
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
