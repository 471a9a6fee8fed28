//! Both event logs, against the performance tools that come with Kafka.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::Runtime;
use twin_kafka::KafkaLog;
use twin_schemas::Cleanup;
use twin_sqlite::{Database, SqliteLog};
use twin_stack::{Kafka, KafkaOptions};
use twin_stream::{Delivery, EventLog, NewRecord, TopicSpec};

use crate::bench::Bench;
use crate::comparison::{Better, Comparison, Side, one_round};

const RECORDS: usize = 100_000;

/// Records that the tool publishes before those that count, since Java compiles what is run often.
const WARM_UP: usize = 20_000;

const RECORD_BYTES: usize = 1024;
const PARTITIONS: u32 = 4;

/// Callers that append at once, and records of an append.
const CALLERS: usize = 8;
const BATCH: usize = 100;

const UNIT: &str = "records/s";

/// Records a second: published and durable or replicated, and consumed.
pub fn compare(bench: &Bench) -> Result<Vec<Comparison>> {
    let broker = Kafka::start(KafkaOptions::default())?;
    let tools = Tools { libraries: bench.cache.join("kafka/libs/*"), bootstrap: broker.bootstrap().to_owned() };
    let options = twin_kafka::KafkaOptions { brokers: tools.bootstrap.clone(), ..Default::default() };
    let kafka: Arc<dyn EventLog> = Arc::new(bench.runtime.block_on(KafkaLog::connect(options))?);
    let sqlite: Arc<dyn EventLog> = Arc::new(bench.runtime.block_on(open(&bench.work.join("rates.db")))?);

    let against = |name, other| Comparison::new(name, UNIT, Better::Higher, other);
    let (publish, consume) = ("Kafka's ProducerPerformance, acks=all", "Kafka's ConsumerPerformance");
    let mut published = [
        against("event log over Kafka: publish", publish),
        against("embedded event log: publish, each batch synced to disk", publish),
    ];
    let mut consumed =
        [against("event log over Kafka: consume", consume), against("embedded event log: consume", consume)];
    for round in 0..bench.rounds {
        let topic = format!("bench.rates.{round}");
        bench.runtime.block_on(make(&kafka, &topic))?;
        bench.runtime.block_on(make(&sqlite, &topic))?;
        let tools_topic = format!("bench.tools.{round}");
        bench.runtime.block_on(make(&kafka, &tools_topic))?;
        let mut publish: [Side<'_>; 3] = [
            Box::new(|| publish_all(&bench.runtime, &kafka, &topic)),
            Box::new(|| publish_all(&bench.runtime, &sqlite, &topic)),
            Box::new(|| tools.publish(&tools_topic)),
        ];
        let [over_kafka, embedded, tool] = one_round(round, &mut publish)?;
        published[0].round(over_kafka, tool);
        published[1].round(embedded, tool);
        let mut consume: [Side<'_>; 3] = [
            Box::new(|| bench.runtime.block_on(consume_all(&kafka, &topic))),
            Box::new(|| bench.runtime.block_on(consume_all(&sqlite, &topic))),
            Box::new(|| tools.consume(&tools_topic)),
        ];
        let [over_kafka, embedded, tool] = one_round(round, &mut consume)?;
        consumed[0].round(over_kafka, tool);
        consumed[1].round(embedded, tool);
    }
    Ok(published.into_iter().chain(consumed).collect())
}

async fn open(file: &Path) -> Result<SqliteLog> {
    Ok(SqliteLog::open(Database::open(file)?, 1 << 20).await?)
}

async fn make(log: &Arc<dyn EventLog>, topic: &str) -> Result<()> {
    let cleanup = Cleanup::Delete(Duration::from_secs(3600));
    Ok(log.ensure_topics(&[TopicSpec { name: topic.to_owned(), partitions: PARTITIONS, cleanup }]).await?)
}

/// Records a second of some callers that each append batch after batch.
fn publish_all(runtime: &Runtime, log: &Arc<dyn EventLog>, topic: &str) -> Result<f64> {
    let batches: Vec<Vec<Vec<NewRecord>>> = (0..CALLERS).map(|caller| batches(caller as u64, topic)).collect();
    let start = Instant::now();
    runtime.block_on(async {
        let callers = batches.into_iter().map(|batches| {
            let log = Arc::clone(log);
            tokio::spawn(async move {
                for batch in batches {
                    log.append(batch).await?;
                }
                Ok::<_, twin_stream::Error>(())
            })
        });
        for appended in try_join_all(callers).await? {
            appended?;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    Ok(per_second(start))
}

/// A caller's records: random capital letters, as the tool's are.
fn batches(caller: u64, topic: &str) -> Vec<Vec<NewRecord>> {
    let mut random = StdRng::seed_from_u64(caller);
    let mut record = |number: usize| {
        let value = (0..RECORD_BYTES).map(|_| random.random_range(b'A'..=b'Z')).collect();
        let key = format!("{caller}/{number}").into_bytes();
        NewRecord { topic: topic.to_owned(), key, value: Some(value), headers: Vec::new() }
    };
    let mut batch = |first: usize| (first..first + BATCH).map(&mut record).collect();
    (0..RECORDS / CALLERS).step_by(BATCH).map(&mut batch).collect()
}

/// Records a second of one consumer, which commits what it was given before it takes more. Joining is not counted.
async fn consume_all(log: &Arc<dyn EventLog>, topic: &str) -> Result<f64> {
    let mut consumer = log.subscribe("bench", &[topic]).await?;
    ensure!(matches!(consumer.next().await?, Delivery::Assigned(_)), "the first delivery is an assignment");
    let start = Instant::now();
    let mut consumed = 0;
    while consumed < RECORDS {
        let Delivery::Records(records) = consumer.next().await? else { continue };
        consumed += records.len();
        let mut next = HashMap::new();
        for record in records {
            next.insert(record.position.partition, record.position.offset + 1);
        }
        consumer.commit(&next.into_iter().collect::<Vec<_>>()).await?;
    }
    let rate = per_second(start);
    consumer.close().await;
    Ok(rate)
}

fn per_second(start: Instant) -> f64 {
    RECORDS as f64 / start.elapsed().as_secs_f64()
}

/// The programs `kafka-producer-perf-test` and `kafka-consumer-perf-test` without their shell scripts.
struct Tools {
    libraries: PathBuf,
    bootstrap: String,
}

impl Tools {
    /// Records a second: the tool's own number.
    fn publish(&self, topic: &str) -> Result<f64> {
        let (size, warm_up) = (RECORD_BYTES.to_string(), WARM_UP.to_string());
        let output = self.run(
            "ProducerPerformance",
            topic,
            RECORDS + WARM_UP,
            &["--record-size", &size, "--warmup-records", &warm_up, "--throughput=-1", "--command-property=acks=all"],
        )?;
        // "100000 records sent, 37400.1 records/sec (36.52 MB/sec), …": the last such line leaves the warm-up out.
        let line = output.lines().rfind(|line| line.contains(" records/sec"));
        let rate = line.and_then(|line| line.split(", ").find_map(|part| part.split_once(" records/sec")));
        rate.with_context(|| format!("no rate in: {output}"))?.0.parse().context("a rate is a number")
    }

    /// Records a second, without joining the group.
    fn consume(&self, topic: &str) -> Result<f64> {
        let output = self.run("ConsumerPerformance", topic, RECORDS, &["--timeout", "60000"])?;
        // A line of column names, then one of numbers.
        let mut lines = output.lines().filter(|line| line.contains(", ")).map(|line| line.split(", "));
        let (names, mut numbers) = (lines.next().context("no columns")?, lines.next().context("no numbers")?);
        let column = names.map(str::trim).position(|name| name == "fetch.nMsg.sec");
        let rate = column.and_then(|column| numbers.nth(column));
        rate.with_context(|| format!("no rate in: {output}"))?.trim().parse().context("a rate is a number")
    }

    fn run(&self, class: &str, topic: &str, records: usize, more: &[&str]) -> Result<String> {
        let mut command = Command::new("java");
        command.arg("-cp").arg(&self.libraries).arg(format!("org.apache.kafka.tools.{class}"));
        command.args(["--bootstrap-server", &self.bootstrap, "--topic", topic]);
        let output = command.args(["--num-records", &records.to_string()]).args(more).output();
        let output = output.context("can not run java")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{class} failed: {said}{}", String::from_utf8_lossy(&output.stderr));
        Ok(said)
    }
}
