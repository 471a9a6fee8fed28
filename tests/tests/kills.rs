//! `kill -9` at any moment, over and over, while an author writes and a reader asks: nothing acknowledged is lost,
//! nothing is there twice, nothing old or deleted is served, and the end is that of a run in which nothing happened.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use twin_stack::{Kafka, KafkaOptions, TwinOptions, TwinProcess};
use twin_tests::{Api, Author, Folder, History, Reader, Stored, eventually};

const AUTHOR: &str = "ada";
/// Between two changes, so that there are not more of them than can be indexed between two kills.
const PAUSE: Duration = Duration::from_millis(40);
/// Changes between two looks at the whole.
const SETTLE_EVERY: usize = 40;

/// How often the process is killed, in all tests of this file. `make test-long` sets it higher.
fn kills(default: usize) -> Result<usize> {
    match std::env::var("TEST_KILLS") {
        Ok(number) => number.parse().context("TEST_KILLS is a number"),
        Err(_) => Ok(default),
    }
}

fn seed() -> Result<u64> {
    match std::env::var("TEST_SEED") {
        Ok(number) => number.parse().context("TEST_SEED is a number"),
        Err(_) => Ok(rand::rng().random()),
    }
}

/// A twin without a language model, which is not asked anything here, and so starts within a second.
fn start(log: Option<&Kafka>) -> Result<TwinProcess> {
    let mut environment = vec![
        ("TWIN_LLM_ENDPOINT".to_owned(), "http://127.0.0.1:9/v1".to_owned()),
        ("TWIN_CRAWLER_POLL_MS".to_owned(), "50".to_owned()),
    ];
    if let Some(kafka) = log {
        environment.push(("TWIN_LOG_URL".to_owned(), format!("kafka://{}", kafka.bootstrap())));
        environment.push(("TWIN_LOG_KAFKA_SESSION_TIMEOUT_MS".to_owned(), "1000".to_owned()));
    }
    TwinProcess::start(TwinOptions { environment, ..TwinOptions::default() })
}

fn broker() -> Result<Kafka> {
    let properties = vec![("group.min.session.timeout.ms".to_owned(), "500".to_owned())];
    Kafka::start(KafkaOptions { properties, ..KafkaOptions::default() })
}

/// Kills the process at random moments, a third of them while it starts, and starts it again.
async fn kill_again_and_again(
    twin: &mut TwinProcess,
    api: &Api,
    kills: usize,
    up_ms: u64,
    mut random: StdRng,
) -> Result<()> {
    let up = async || eventually("the twin is up", async || Ok(api.get("/readyz").await.ok())).await;
    for _ in 0..kills {
        let moment_ms = if random.random_bool(1.0 / 3.0) {
            random.random_range(0..800)
        } else {
            up().await?;
            random.random_range(0..up_ms)
        };
        tokio::time::sleep(Duration::from_millis(moment_ms)).await;
        twin.kill9()?;
        twin.restart_unattended()?;
    }
    up().await.map(drop)
}

/// Makes up changes, and has the author make them, until the killing has ended.
async fn write_all_the_while(
    history: &mut History,
    author: &Author<'_>,
    reader: &Reader,
    killing: &Cell<bool>,
) -> Result<()> {
    for change in history.changes().to_vec() {
        author.apply(&change).await?;
    }
    while killing.get() {
        for _ in 0..SETTLE_EVERY {
            let change = history.next_change();
            author.apply(&change).await?;
            tokio::time::sleep(PAUSE).await;
        }
        author.settled().await?;
        reader.settled(history);
    }
    Ok(())
}

async fn survives(log: Option<&Kafka>, undisturbed_log: Option<&Kafka>, kills: usize, up_ms: u64) -> Result<()> {
    let seed = seed()?;
    let survived = survives_with(seed, log, undisturbed_log, kills, up_ms).await;
    survived.with_context(|| format!("with {kills} kills; to do the same again, set TEST_SEED={seed}"))
}

async fn survives_with(
    seed: u64,
    log: Option<&Kafka>,
    undisturbed_log: Option<&Kafka>,
    kills: usize,
    up_ms: u64,
) -> Result<()> {
    let mut twin = start(log)?;
    let api = Api::new(twin.base_url())?;
    // Both runs read the same folder: a document's identity includes where it is.
    let folder = Folder::new()?;
    let author = Author::new(&api, AUTHOR, &folder).await?;
    let reader = Reader::start(&api, AUTHOR);
    let mut history = History::new(seed);
    let killing = Cell::new(true);
    let kill = async {
        let killed = kill_again_and_again(&mut twin, &api, kills, up_ms, StdRng::seed_from_u64(seed)).await;
        killing.set(false);
        killed
    };
    tokio::try_join!(kill, write_all_the_while(&mut history, &author, &reader, &killing))?;
    author.settled().await?;
    reader.settled(&history);
    let answers = reader.stop().await?;
    let disturbed = stopped(&mut twin)?;

    let undisturbed = undisturbed(undisturbed_log, &folder, &history).await?;
    ensure!(answers > kills as u64, "the reader got only {answers} answers");
    ensure!(undisturbed.chunks() > 20, "too little was written: {} chunks", undisturbed.chunks());
    disturbed.ensure_same(&undisturbed)
}

/// What the same history leaves when nothing happens.
async fn undisturbed(log: Option<&Kafka>, folder: &Folder, history: &History) -> Result<Stored> {
    folder.clear()?;
    let mut twin = start(log)?;
    let api = Api::new(twin.base_url())?;
    let author = Author::new(&api, AUTHOR, folder).await?;
    for change in history.changes() {
        author.apply(change).await?;
    }
    author.settled().await?;
    stopped(&mut twin)
}

fn stopped(twin: &mut TwinProcess) -> Result<Stored> {
    ensure!(twin.terminate()? == 0, "it does not end in good order:\n{}", twin.log());
    Stored::read(twin.data())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_embedded_log() -> Result<()> {
    survives(None, None, kills(40)?, 1_500).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_kafka() -> Result<()> {
    // The group notices a kill after a second; what comes after that is where it gets interesting.
    let (log, undisturbed_log) = (broker()?, broker()?);
    survives(Some(&log), Some(&undisturbed_log), kills(10)?, 4_000).await
}
