//! Every event of the log once more and once again, in any order: what is stored stays as it is, by one twin over the
//! embedded log, and over Kafka by two that share the work.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use twin_kafka::{KafkaLog, KafkaOptions};
use twin_schemas::Topic;
use twin_sqlite::{Database, SqliteLog};
use twin_stack::Kafka;
use twin_stream::EventLog;
use twin_tests::{Folder, Trial, Twins, append_again, eventually, quick, quick_broker, records};

const TOPICS: [Topic; 3] = [Topic::DocumentsRaw, Topic::DocumentsCleaned, Topic::DocumentsChunked];
const STAGES: [&str; 3] = ["cleaner", "chunker", "embedder"];
/// So small that some payloads travel by reference.
const MAX_VALUE_BYTES: usize = 2_000;

/// The log of twins that do not run.
async fn open(data: &Path, kafka: Option<&Kafka>) -> Result<Box<dyn EventLog>> {
    Ok(match kafka {
        None => Box::new(SqliteLog::open(Database::open(&data.join("twin.db"))?, MAX_VALUE_BYTES).await?),
        Some(kafka) => {
            let brokers = kafka.bootstrap().to_owned();
            Box::new(KafkaLog::connect(KafkaOptions { brokers, ..KafkaOptions::default() }).await?)
        }
    })
}

async fn repeats(kafka: Option<&Kafka>, count: usize) -> Result<()> {
    let mut options = quick(kafka.map(Kafka::bootstrap));
    let limit = if kafka.is_some() { "TWIN_LOG_KAFKA_MAX_VALUE_BYTES" } else { "TWIN_LOG_MAX_VALUE_BYTES" };
    options.environment.push((limit.to_owned(), MAX_VALUE_BYTES.to_string()));
    let mut twins = Twins::start(options, count)?;
    let (api, folder) = (twins.api()?, Folder::new()?);
    let mut trial = Trial::begin(&api, &folder, Duration::from_millis(10)).await?;
    let indexed = || async {
        let metrics = api.metrics().await?;
        anyhow::Ok(metrics.sum("twin_index_documents_total", &["outcome=\"indexed\""]))
    };
    // A minute's worth of edits and deletions is more than enough: a hundred.
    trial
        .during(async {
            eventually("a hundred revisions", async || Ok((indexed().await? >= 100.0).then_some(()))).await
        })
        .await?;
    trial.end().await?;
    let before = twins.stopped()?;
    let data = twins[0].data().to_owned();
    ensure!(data.join("artifacts").read_dir()?.next().is_some(), "nothing travelled by reference");

    let log = open(&data, kafka).await?;
    for topic in TOPICS {
        let held = records(&*log, topic).await?;
        ensure!(held.iter().any(|record| record.value.is_none()), "{} has no deletion", topic.name());
    }
    let again = append_again(&*log, &TOPICS).await?;
    drop(log);
    twins.restart().await?;
    api.idle().await?;
    let metrics = api.metrics().await?;
    let worked: f64 =
        STAGES.iter().map(|stage| metrics.sum("twin_stage_events_total", &[&format!("stage=\"{stage}\"")])).sum();
    ensure!(worked >= again as f64, "only {worked} events came, and {again} were appended");
    assert_eq!(metrics.sum("twin_index_documents_total", &["outcome=\"indexed\""]), 0.0, "something was indexed again");
    assert_eq!(api.get("/v1/dlq").await?["dead_letters"], json!([]));
    twins.stopped()?.ensure_same(&before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_embedded_log() -> Result<()> {
    repeats(None, 1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_kafka_with_every_service_twice() -> Result<()> {
    let kafka = Kafka::start(quick_broker())?;
    repeats(Some(&kafka), 2).await
}
