//! Steady use for long: what the process takes of the machine stays as it is, and every answer is right.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use rand::Rng;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use twin_stack::TwinProcess;
use twin_tests::{Api, Author, Folder, History, Llm, Reader, Script, Usage, disk_mb, report, start};

const AUTHOR: &str = "ada";
/// Between two changes by the author, and between two questions.
const PAUSE: Duration = Duration::from_millis(100);
const CHANGES_TO_SETTLE: usize = 50;
/// Looks at the process, in all.
const SAMPLES: u32 = 50;
/// What may come on top of what it took when it was warm. Where the machine is busy more reads run side by side, each
/// with a cache, files and a thread of its own; they are bounded, and what leaks with each question or change is far
/// more in the end.
const MEMORY_MARGIN_MB: u64 = 128;
const COUNT_MARGIN: u64 = 32;
/// What the log keeps of a question, its answer and a change for as long as it keeps them, kilobytes.
const KEPT_KB: u64 = 96;
/// The write-ahead log is emptied into the database before it is larger.
const WRITE_AHEAD_MB: u64 = 64;

/// How long it goes on. `make test-long` sets it higher.
fn time() -> Result<Duration> {
    let seconds = match std::env::var("TEST_SOAK_S") {
        Ok(number) => number.parse().context("TEST_SOAK_S is a number")?,
        Err(_) => 20,
    };
    Ok(Duration::from_secs(seconds))
}

/// What was seen at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    second: u64,
    usage: Usage,
    disk_mb: u64,
    write_ahead_mb: u64,
    done: u64,
}

async fn sample(twin: &TwinProcess, api: &Api, began: Instant) -> Result<Sample> {
    let metrics = api.metrics().await?;
    let done = metrics.sum("twin_inference_queries_total", &[]) + metrics.sum("twin_index_documents_total", &[]);
    let write_ahead = std::fs::metadata(twin.data().join("twin.db-wal")).map_or(0, |file| file.len());
    Ok(Sample {
        second: began.elapsed().as_secs(),
        usage: Usage::of(twin)?,
        disk_mb: disk_mb(twin.data())?,
        write_ahead_mb: write_ahead >> 20,
        done: done as u64,
    })
}

async fn watch(twin: &TwinProcess, api: &Api, time: Duration) -> Result<Vec<Sample>> {
    let (began, mut samples) = (Instant::now(), Vec::new());
    let mut moments = tokio::time::interval(time / SAMPLES);
    while began.elapsed() < time {
        moments.tick().await;
        samples.push(sample(twin, api, began).await?);
    }
    Ok(samples)
}

async fn change(author: &Author<'_>, history: &mut History, reader: &Reader) -> Result<()> {
    loop {
        for _ in 0..CHANGES_TO_SETTLE {
            author.apply(&history.next_change()).await?;
            tokio::time::sleep(PAUSE).await;
        }
        author.settled().await?;
        reader.settled(history);
    }
}

/// Whole answers, streamed ones, and clients that go away.
async fn ask(api: &Api) -> Result<()> {
    loop {
        let key = History::lasting()[rand::rng().random_range(0..History::lasting().len())];
        let mut question = json!({ "author": AUTHOR, "question": format!("What is in the diary of the {key}?") });
        match rand::rng().random_range(0..3) {
            0 => whole(api, &question).await?,
            1 => {
                question["stream"] = json!(true);
                let events = api.events("/v1/query", &question).await?;
                ensure!(events.last().is_some_and(|event| event.name == "done"), "{events:?}");
            }
            _ => {
                question["stream"] = json!(true);
                let response = api.request(Method::POST, "/v1/query").json(&question).send().await?;
                response.error_for_status()?.bytes_stream().next().await.context("an answer has a beginning")??;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn whole(api: &Api, question: &Value) -> Result<()> {
    let answer = api.send(api.request(Method::POST, "/v1/query").json(question)).await?;
    ensure!(answer.status == StatusCode::OK, "{}: {}", answer.status, answer.json);
    Ok(())
}

/// The highest of each within a part of the samples.
fn highest(samples: &[Sample]) -> Result<Usage> {
    let most = |of: fn(&Sample) -> u64| samples.iter().map(of).max().context("there are samples");
    Ok(Usage {
        memory_mb: most(|sample| sample.usage.memory_mb)?,
        files: most(|sample| sample.usage.files)?,
        threads: most(|sample| sample.usage.threads)?,
    })
}

fn table(samples: &[Sample]) -> Result<String> {
    let mut table = "second,memory_mb,files,threads,disk_mb,write_ahead_mb,queries_and_revisions\n".to_owned();
    for sample in samples {
        let Sample { second, usage: Usage { memory_mb, files, threads }, disk_mb, write_ahead_mb, done } = sample;
        writeln!(table, "{second},{memory_mb},{files},{threads},{disk_mb},{write_ahead_mb},{done}")?;
    }
    Ok(table)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_grows_under_steady_use() -> Result<()> {
    let llm = Llm::start(Script::words(20, Duration::from_millis(10))).await?;
    let twin = start(&[("TWIN_LLM_ENDPOINT", llm.endpoint())])?;
    let (api, folder) = (Api::new(twin.base_url())?, Folder::new()?);
    let author = Author::new(&api, AUTHOR, &folder).await?;
    let mut history = History::new(rand::rng().random());
    for change in history.changes().to_vec() {
        author.apply(&change).await?;
    }
    author.settled().await?;
    let reader = Reader::start(&api, AUTHOR);
    reader.settled(&history);
    let samples = tokio::select! {
        samples = watch(&twin, &api, time()?) => samples?,
        failed = change(&author, &mut history, &reader) => return failed.context("the author"),
        failed = ask(&api) => return failed.context("a question"),
    };
    let answers = reader.stop().await?;
    let table = table(&samples)?;
    report("soak.csv", &table)?;

    ensure!(answers > 50, "the reader got only {answers} answers");
    let letters = api.get("/v1/dlq").await?;
    ensure!(letters["dead_letters"] == json!([]), "{letters}");
    let fifth = samples.len() / 5;
    let (warm, last) = (highest(&samples[fifth..2 * fifth])?, highest(&samples[samples.len() - fifth..])?);
    ensure!(last.memory_mb <= warm.memory_mb + MEMORY_MARGIN_MB, "memory grows:\n{table}");
    ensure!(last.files <= warm.files + COUNT_MARGIN, "open files grow:\n{table}");
    ensure!(last.threads <= warm.threads + COUNT_MARGIN, "threads grow:\n{table}");
    let (Some(first), Some(end)) = (samples.first(), samples.last()) else { return Ok(()) };
    let kept_mb = ((end.done - first.done) * KEPT_KB) >> 10;
    ensure!(end.disk_mb <= first.disk_mb + kept_mb + WRITE_AHEAD_MB, "the disk fills:\n{table}");
    ensure!(samples.iter().all(|sample| sample.write_ahead_mb <= WRITE_AHEAD_MB), "never emptied:\n{table}");
    Ok(())
}
