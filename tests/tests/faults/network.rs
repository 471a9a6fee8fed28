//! The network between two twins, with every service each, and Kafka is slow, thin, cut and dead, one after the other,
//! while an author writes: nothing is lost or there twice, and it mends by itself.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use twin_kafka::{KafkaLog, KafkaOptions as LogOptions};
use twin_stack::{Kafka, KafkaOptions, Toxic, Toxiproxy};
use twin_stream::EventLog;
use twin_tests::{Api, Folder, Trial, Twins, eventually, quick, quick_broker, times};

/// How long the network is cut or dead: longer than the group waits for a consumer.
const GONE: Duration = Duration::from_secs(5);
const SESSION_TIMEOUT_MS: &str = "3000";

/// Documents that have become searchable, and deletions that were done.
async fn indexed(api: &Api) -> Result<f64> {
    Ok(api.metrics().await?.sum("twin_index_documents_total", &[]))
}

async fn goes_on(api: &Api, how: &str) -> Result<()> {
    let before = indexed(api).await?;
    eventually(how, async || Ok((indexed(api).await? >= before + 20.0).then_some(()))).await
}

/// How long a small request to the cluster takes.
async fn round_trip(log: &KafkaLog) -> Result<Duration> {
    let began = Instant::now();
    log.watermarks("twin.documents.raw.v1").await?;
    Ok(began.elapsed())
}

async fn suffer(proxy: &Toxiproxy, api: &Api, log: &KafkaLog) -> Result<()> {
    let add = |toxic| tokio::task::block_in_place(|| proxy.add(toxic));
    let clear = || tokio::task::block_in_place(|| proxy.clear());

    add(Toxic::Latency(300))?;
    ensure!(round_trip(log).await? >= Duration::from_millis(600), "the network is not slow");
    goes_on(api, "it works over a slow network").await?;
    clear()?;

    add(Toxic::Bandwidth(50))?;
    goes_on(api, "it works over a thin network").await?;
    clear()?;

    for toxic in [Toxic::Reset, Toxic::BlackHole] {
        add(toxic)?;
        // The time itself is what is tried.
        tokio::time::sleep(GONE).await;
        let before = indexed(api).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        ensure!(indexed(api).await? <= before, "{toxic:?}: the network works");
        clear()?;
        goes_on(api, "it goes on by itself").await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_is_slow_thin_cut_and_dead_costs_nothing() -> Result<()> {
    let kafka = Kafka::start(KafkaOptions { proxied: true, ..quick_broker() })?;
    let proxy = Toxiproxy::in_front_of(&kafka)?;
    let mut options = quick(Some(proxy.address()));
    options.environment.push(("TWIN_LOG_KAFKA_SESSION_TIMEOUT_MS".to_owned(), SESSION_TIMEOUT_MS.to_owned()));
    let mut twins = Twins::start(options, 2)?;
    let (api, folder) = (twins.api()?, Folder::new()?);
    let log = KafkaLog::connect(LogOptions { brokers: proxy.address().to_owned(), ..LogOptions::default() }).await?;
    let mut trial = Trial::begin(&api, &folder, Duration::from_millis(80)).await?;
    let suffering = async {
        for _ in 0..times("TEST_NETWORKS", 1)? {
            suffer(&proxy, &api, &log).await?;
        }
        Ok(())
    };
    trial.during(suffering).await?;
    let past = trial.end().await?;
    past.ensure_left(&twins.stopped()?).await
}
