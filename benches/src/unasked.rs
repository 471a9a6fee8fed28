//! What a twin does that nobody asks anything: processor time and durable writes, idle and while it trains.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use twin_stack::TwinOptions;
use twin_tests::{Api, eventually, school};

use crate::bench::Bench;
use crate::commits;
use crate::corpus::drawn_text;
use crate::figure::Figure;
use crate::growth::lookup_model;
use crate::server::{AUTHOR, Server};
use crate::target::Target;

/// Names a binary that is measured as well: an older one, to be held against this one.
const OLD_BINARY: &str = "TWIN_BENCH_OLD_BIN";

const DOCUMENTS: usize = 2_000;
/// Words of a document: about one chunk.
const WORDS: usize = 120;
/// From the last document being searchable, and its author calibrated, until the twin counts as idle. A dataset version is
/// made meanwhile.
const REST: Duration = Duration::from_secs(40);
const QUIET: (&str, &str) = ("TWIN_DATASETS_FREEZE_QUIET_S", "5");
/// How long an idle twin is looked on, and how long one that trains.
const IDLE: Duration = Duration::from_secs(60);
const TRAINING: Duration = Duration::from_secs(30);
/// Longer than it is looked on, in steps of a second or less.
const RECIPE: &str = "rank = 8\nalpha = 16.0\ntargets = [\"q_proj\", \"v_proj\"]\nlearning_rate = 0.0001\n\
    warmup_steps = 4\nepochs = 1000\nmax_steps = 2000\npack_tokens = 256\ncheckpoint_every = 20\neval_samples = 4\n";

const WRITES: Target = Target::at_most(2.0);
const CORE: Target = Target::at_most(0.5);

/// The figures of this binary, and of the older one where one is named.
pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = of_binary(bench, None)?;
    if let Some(old) = env::var_os(OLD_BINARY) {
        figures.extend(of_binary(bench, Some(old))?);
    }
    Ok(figures)
}

fn of_binary(bench: &Bench, old: Option<OsString>) -> Result<Vec<Figure>> {
    let suffix = if old.is_some() { " (an older binary)" } else { "" };
    let binary = old.map(PathBuf::from);
    let idle = bench.runtime.block_on(idle(bench, binary.clone())).context("idle")?;
    let training = bench.runtime.block_on(training(bench, binary)).context("training")?;
    let figures = [
        Figure::once("an idle twin with 2000 documents: share of a core", "%", idle.core_percent).wanting(CORE),
        Figure::once("an idle twin with 2000 documents", "durable writes a minute", idle.writes).wanting(WRITES),
        Figure::once("a twin while a job trains: share of a core, without the job's", "%", training.core_percent),
        Figure::once("a twin while a job trains", "durable writes a minute", training.writes),
    ];
    let named = figures.map(|figure| Figure { name: format!("{}{suffix}", figure.name), ..figure });
    // Of what was before, nothing is wanted any more.
    let target = |figure: Figure| Figure { target: figure.target.filter(|_| suffix.is_empty()), ..figure };
    Ok(named.map(target).into())
}

struct Seen {
    core_percent: f64,
    /// Each minute.
    writes: f64,
}

/// Looks on without asking anything.
async fn look(server: &Server, time: Duration) -> Result<Seen> {
    let database = server.data().join("twin.db");
    let (spent, written) = (server.processor_seconds()?, commits::so_far(&database)?);
    tokio::time::sleep(time).await;
    let spent = server.processor_seconds()? - spent;
    let written = commits::so_far(&database)?.wrapping_sub(written);
    Ok(Seen {
        core_percent: 100.0 * spent / time.as_secs_f64(),
        writes: f64::from(written) * 60.0 / time.as_secs_f64(),
    })
}

/// The embedding model costs nothing: 2,000 documents are there at once. The language model is in memory.
async fn idle(bench: &Bench, binary: Option<PathBuf>) -> Result<Seen> {
    let model = lookup_model(bench)?;
    let variables = [QUIET, ("TWIN_EMBEDDER_MODEL_DIR", model.as_str())];
    let environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let server = Server::start_with(TwinOptions { binary, environment, ..TwinOptions::default() })?;
    let words = bench.corpus.words();
    let mut random = StdRng::seed_from_u64(2_000);
    let texts: Vec<(String, String)> =
        (0..DOCUMENTS).map(|number| (format!("idle/{number}"), drawn_text(&words, WORDS, &mut random))).collect();
    server.push(texts.iter().map(|(key, text)| (key.clone(), text.as_str()))).await?;
    server.settled(DOCUMENTS).await?;
    server.calibrated().await?;
    tokio::time::sleep(REST).await;
    look(&server, IDLE).await
}

/// With the default language model in memory, as the twin of an author who asks for training has it.
async fn training(bench: &Bench, binary: Option<PathBuf>) -> Result<Seen> {
    let folder = tempfile::tempdir_in(&bench.work)?;
    let options = school::school_with(folder.path(), RECIPE, &[])?;
    let server = Server::start_with(TwinOptions { binary, ..options })?;
    school::publish(&Api::new(server.base_url())?, AUTHOR).await?;
    let jobs = format!("/v1/jobs?author={AUTHOR}");
    let job = eventually("a job trains", async || {
        let job = server.get(&jobs).await?["jobs"][0].clone();
        ensure!(job["state"] != "failed", "{job}");
        Ok((job["progress"]["step"].as_u64() > Some(1)).then_some(job))
    })
    .await?;
    let seen = look(&server, TRAINING).await?;
    let id = job["job"].as_str().context("a job has an id")?;
    let after: Value = server.get(&format!("/v1/jobs/{id}")).await?;
    ensure!(after["state"] == "running", "the job ended while it was looked on: {after}");
    server.post(&format!("/v1/jobs/{id}/cancel"), &json!({ "by": AUTHOR })).await?;
    // The job's process ends at its next step, and must not go on beside what is measured next.
    eventually("the job ends", async || {
        Ok((server.get(&format!("/v1/jobs/{id}")).await?["state"] != "running").then_some(()))
    })
    .await?;
    Ok(seen)
}
