//! SIGTERM under load, over both logs: the process ends in good order and in time, nothing that was acknowledged is
//! lost, and nothing that was done is done again. Over Kafka every service runs twice: one twin ends while the other is at
//! work and takes its part over, and then the other does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::StreamExt;
use serde_json::json;
use tokio::task::JoinHandle;
use twin_kafka::{KafkaLog, KafkaOptions};
use twin_schemas::Topic;
use twin_sqlite::{Database, SqliteLog};
use twin_stack::{Kafka, TwinProcess};
use twin_stream::{EventLog, group_of};
use twin_tests::{Api, Twins, eventually, note, quick, quick_broker, times};

const AUTHOR: &str = "ada";
/// Documents that are pushed at the same time.
const AT_ONCE: usize = 4;
/// Before each of them, so that there are some hundreds and not thousands: still more than can be indexed.
const PAUSE: Duration = Duration::from_millis(30);
/// Documents that are indexed before each stop.
const INDEXED: u64 = 30;
/// `stages.drain_s` and `gateway.drain_s` are 15 and 20 by default; no more than the longer may be needed.
const IN_TIME: Duration = Duration::from_secs(30);
const STAGES: [(&str, Topic); 3] =
    [("cleaner", Topic::DocumentsRaw), ("chunker", Topic::DocumentsCleaned), ("embedder", Topic::DocumentsChunked)];

/// Pushes document after document until one is refused, since the twin ends. Returns the ids of those that were
/// acknowledged.
fn push_until_refused(twin: &TwinProcess, pushed: &Arc<AtomicUsize>) -> Result<JoinHandle<BTreeSet<String>>> {
    let (api, pushed) = (Api::new(twin.base_url())?, pushed.clone());
    Ok(tokio::spawn(async move {
        let push = async |number: usize| {
            let key = format!("expedition {number} to island {}", number * 7);
            let body = json!({ "author": AUTHOR, "category": "article", "natural_key": key, "markdown": note(&key) });
            tokio::time::sleep(PAUSE).await;
            let answer = api.post("/v1/documents", &body).await.ok()?;
            answer["document_id"].as_str().map(str::to_owned)
        };
        let numbers = futures::stream::repeat_with(|| pushed.fetch_add(1, Ordering::SeqCst));
        let answers = numbers.map(push).buffered(AT_ONCE);
        answers.take_while(|answer| std::future::ready(answer.is_some())).filter_map(std::future::ready).collect().await
    }))
}

async fn searchable(api: &Api) -> Result<u64> {
    let answer = api.send(api.request(reqwest::Method::GET, &format!("/v1/status?author={AUTHOR}"))).await?;
    // Before the first push there is no such author.
    Ok(answer.json["totals"]["searchable"].as_u64().unwrap_or_default())
}

/// Events that came to the embedder although their revision was in the index already.
async fn repeated(api: &Api) -> Result<f64> {
    Ok(api.metrics().await?.sum("twin_index_documents_total", &["outcome=\"stale\""]))
}

fn warnings<'a>(twins: impl IntoIterator<Item = &'a TwinProcess>) -> String {
    let log: String = twins.into_iter().map(TwinProcess::log).collect();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    warnings.join("\n")
}

/// Loads the twins, and stops one after the other while it has more to do than it can.
async fn stop_under_load(twins: &mut Twins, pushed: &Arc<AtomicUsize>) -> Result<BTreeSet<String>> {
    twins.share().await?;
    let pushing: Vec<_> = twins.iter().map(|twin| push_until_refused(twin, pushed)).collect::<Result<_>>()?;
    let mut acknowledged = BTreeSet::new();
    for (twin, pushing) in twins.iter_mut().zip(pushing) {
        let api = Api::new(twin.base_url())?;
        let before = searchable(&api).await?;
        eventually("some are indexed", async || Ok((searchable(&api).await? >= before + INDEXED).then_some(())))
            .await?;
        assert_eq!(repeated(&api).await?, 0.0, "something came to the embedder again\n{}", warnings([&*twin]));
        let began = Instant::now();
        let code = tokio::task::block_in_place(|| twin.terminate())?;
        ensure!(code == 0, "it ended with {code}:\n{}", twin.log());
        ensure!(began.elapsed() < IN_TIME, "it took {:?} to end", began.elapsed());
        acknowledged.append(&mut pushing.await?);
    }
    Ok(acknowledged)
}

/// What the log of stopped twins holds.
struct Held {
    /// Records of each stage's input topic.
    records: [u64; 3],
    /// How many of them the stage has committed.
    committed: [u64; 3],
}

async fn held(log: &dyn EventLog) -> Result<Held> {
    let mut held = Held { records: [0; 3], committed: [0; 3] };
    for (index, (stage, topic)) in STAGES.into_iter().enumerate() {
        held.records[index] = log.watermarks(topic.name()).await?.values().map(|ends| ends.end).sum();
        let committed: BTreeMap<u32, u64> = log.committed(&group_of(stage), topic.name()).await?;
        held.committed[index] = committed.values().sum();
    }
    Ok(held)
}

async fn open(data: &Path, kafka: Option<&Kafka>) -> Result<Box<dyn EventLog>> {
    Ok(match kafka {
        None => Box::new(SqliteLog::open(Database::open(&data.join("twin.db"))?, 900_000).await?),
        Some(kafka) => {
            let brokers = kafka.bootstrap().to_owned();
            Box::new(KafkaLog::connect(KafkaOptions { brokers, ..KafkaOptions::default() }).await?)
        }
    })
}

async fn stops(kafka: Option<&Kafka>, count: usize) -> Result<()> {
    let mut options = quick(kafka.map(Kafka::bootstrap));
    // A machine that is busy for seconds must not pass for a death: what follows from that is done again.
    options.environment.push(("TWIN_LOG_KAFKA_SESSION_TIMEOUT_MS".to_owned(), "15000".to_owned()));
    let mut twins = Twins::start(options, count)?;
    let (api, data) = (twins.api()?, twins[0].data().to_owned());
    let (pushed, mut acknowledged) = (Arc::new(AtomicUsize::new(0)), BTreeSet::new());
    for _ in 0..times("TEST_STOPS", 2)? {
        acknowledged.append(&mut stop_under_load(&mut twins, &pushed).await?);
        let held = held(&*open(&data, kafka).await?).await?;
        // Each stage has handed on what it has committed, once, and nothing else.
        ensure!(
            held.committed[..2] == held.records[1..],
            "something would be done again: committed {:?} of {:?}\n{}",
            held.committed,
            held.records,
            warnings(twins.iter())
        );
        ensure!(held.committed[2] < acknowledged.len() as u64, "everything was done before the stop: no load");
        twins.restart().await?;
        api.settled(AUTHOR).await?;
        assert_eq!(repeated(&api).await?, 0.0, "something came to the embedder again\n{}", warnings(twins.iter()));
    }
    for id in &acknowledged {
        let document = api.get(&format!("/v1/documents/{id}")).await?;
        ensure!(document["searchable"] == true, "acknowledged and not searchable: {document}");
    }
    let documents = api.get(&format!("/v1/status?author={AUTHOR}")).await?["totals"]["documents"].as_u64();
    assert_eq!(api.get("/v1/dlq").await?["dead_letters"], json!([]));
    twins.terminate()?;
    let held = held(&*open(&data, kafka).await?).await?;
    assert_eq!(held.records.map(Some), [documents; 3], "each document is one event in each topic");
    assert_eq!(held.committed, held.records);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_embedded_log() -> Result<()> {
    stops(None, 1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_kafka_with_every_service_twice() -> Result<()> {
    let kafka = Kafka::start(quick_broker())?;
    stops(Some(&kafka), 2).await
}
