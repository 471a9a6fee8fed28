//! `twin artifacts gc` beside a twin that runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;
use serde_json::{Value, json};
use twin_kafka::{KafkaLog, KafkaOptions};
use twin_schemas::attribute;
use twin_sqlite::{Database, SqliteLog};
use twin_stack::{Kafka, TwinProcess};
use twin_stream::{EventLog, TopicPartition, TopicSpec};
use twin_tests::{Api, author, quick, quick_broker};

/// So small that most payloads travel by reference.
const MAX_VALUE_BYTES: usize = 2_000;
const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// All artifacts of a twin, by path.
fn artifacts(data: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for level in fs::read_dir(data.join("artifacts"))? {
        for file in fs::read_dir(level?.path())? {
            found.push(file?.path());
        }
    }
    Ok(found)
}

fn path_of(data: &Path, name: &str) -> PathBuf {
    let digest = name.trim_start_matches("sha256:");
    data.join("artifacts").join(&digest[..2]).join(digest)
}

/// An artifact that nothing names. Its name is not that of its content, which nobody reads.
fn garbage(data: &Path, digit: char) -> Result<String> {
    let name = format!("sha256:{}", digit.to_string().repeat(64));
    let path = path_of(data, &name);
    fs::create_dir_all(path.parent().context("it is in a folder")?)?;
    fs::write(&path, "nobody knows me")?;
    Ok(name)
}

/// The names of large values in the log.
async fn referenced(log: &dyn EventLog) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for topic in TopicSpec::all(1) {
        for partition in log.watermarks(&topic.name).await?.into_keys() {
            let partition = TopicPartition { topic: topic.name.as_str().into(), partition };
            let records: Vec<_> = log.records(&partition, 0..u64::MAX).try_collect().await?;
            for record in records {
                let reference = record.headers.iter().find(|(name, _)| name == attribute::DATA_REF);
                names.extend(reference.map(|(_, name)| String::from_utf8_lossy(name).into_owned()));
            }
        }
    }
    Ok(names)
}

async fn gc(twin: &TwinProcess, log: &str, arguments: &[&str]) -> Result<Value, String> {
    let mut command = twin.command(&["artifacts", "gc", "--json", "--data"]);
    command.arg(twin.data()).args(["--log", log]).args(arguments);
    let output = tokio::process::Command::from(command).output().await.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

async fn collects(kafka: Option<&Kafka>) -> Result<()> {
    let mut options = quick(kafka.map(Kafka::bootstrap));
    let limit = if kafka.is_some() { "TWIN_LOG_KAFKA_MAX_VALUE_BYTES" } else { "TWIN_LOG_MAX_VALUE_BYTES" };
    options.environment.push((limit.to_owned(), MAX_VALUE_BYTES.to_string()));
    let twin = TwinProcess::start(options)?;
    let (api, author, data) = (Api::new(twin.base_url())?, author(), twin.data());
    for number in 0..5 {
        let text: String = (0..60).map(|line| format!("Stone {line} of harbour {number} is grey.\n\n")).collect();
        api.push(&author, &format!("stones-{number}"), &text).await?;
    }
    api.settled(&author).await?;
    let names = [garbage(data, '0')?, garbage(data, 'f')?];
    for path in artifacts(data)? {
        File::open(path)?.set_modified(SystemTime::now() - MONTH)?;
    }
    let young = garbage(data, 'a')?;

    let log_url = kafka.map_or("sqlite:".to_owned(), |kafka| format!("kafka://{}", kafka.bootstrap()));
    if kafka.is_some() {
        let refused = gc(&twin, "sqlite:", &[]).await.err().context("the twin's log is another")?;
        ensure!(refused.contains("kafka"), "{refused}");
    }
    let told = gc(&twin, &log_url, &["--dry-run"]).await.map_err(anyhow::Error::msg)?;
    let listed: Vec<&str> =
        told["removed"].as_array().context("a list")?.iter().filter_map(|one| one["artifact"].as_str()).collect();
    ensure!(names.iter().all(|name| listed.contains(&name.as_str())), "{told}");
    ensure!(path_of(data, &names[0]).exists(), "a dry run removes nothing");
    let done = gc(&twin, &log_url, &[]).await.map_err(anyhow::Error::msg)?;
    ensure!(done["removed"] == told["removed"], "{done}");

    ensure!(names.iter().all(|name| !path_of(data, name).exists()), "garbage is left");
    ensure!(path_of(data, &young).exists(), "what is young stays");
    let log: Box<dyn EventLog> = match kafka {
        None => Box::new(SqliteLog::open(Database::open(&data.join("twin.db"))?, MAX_VALUE_BYTES).await?),
        Some(kafka) => {
            let brokers = kafka.bootstrap().to_owned();
            Box::new(KafkaLog::connect(KafkaOptions { brokers, ..KafkaOptions::default() }).await?)
        }
    };
    let referenced = referenced(&*log).await?;
    ensure!(referenced.len() >= 10, "{} values travel by reference", referenced.len());
    for name in referenced {
        ensure!(path_of(data, &name).exists(), "{name} is in the log and not in the store");
    }
    let metrics = api.get("/v1/dlq").await?;
    ensure!(metrics["dead_letters"] == json!([]), "{metrics}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_embedded_log_names_stays_and_what_nothing_names_goes() -> Result<()> {
    collects(None).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kafka_retains_stays_and_what_nothing_names_goes() -> Result<()> {
    let kafka = Kafka::start(quick_broker())?;
    collects(Some(&kafka)).await
}
