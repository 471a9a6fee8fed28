//! Three brokers, and every service twice: a broker that leads is killed while an author writes, and all goes on without
//! it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use twin_schemas::Topic;
use twin_stack::{Kafka, KafkaCluster, KafkaOptions};
use twin_tests::{Api, Folder, Trial, Twins, eventually, quick, quick_broker, times};

/// A cluster needs some seconds to notice and to choose; a busy machine needs more.
const IN_SECONDS: Duration = Duration::from_secs(60);

/// Whose leaders are killed, one after the other.
const PARTITIONS: [(Topic, i32); 3] =
    [(Topic::DocumentsRaw, 0), (Topic::DocumentsChunked, 1), (Topic::DocumentsCleaned, 2)];

/// Documents that have become searchable.
async fn indexed(api: &Api) -> Result<f64> {
    Ok(api.metrics().await?.sum("twin_index_documents_total", &["outcome=\"indexed\""]))
}

/// Kills the broker that leads a partition, and waits until the twins go on. Returns the broker.
async fn lose_leader<'a>(cluster: &'a KafkaCluster, (topic, partition): (Topic, i32), api: &Api) -> Result<&'a Kafka> {
    let leader = tokio::task::block_in_place(|| cluster.leader(topic.name(), partition))?;
    leader.kill()?;
    let killed = Instant::now();
    eventually("another broker leads", async || {
        let now = tokio::task::block_in_place(|| cluster.leader(topic.name(), partition));
        Ok(now.ok().filter(|now| now.bootstrap() != leader.bootstrap()).map(drop))
    })
    .await?;
    // More than could have been under way.
    let before = indexed(api).await?;
    eventually("the twins go on", async || Ok((indexed(api).await? >= before + 40.0).then_some(()))).await?;
    ensure!(killed.elapsed() < IN_SECONDS, "it took {:?} until all went on", killed.elapsed());
    Ok(leader)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_that_are_killed_cost_nothing() -> Result<()> {
    let cluster = KafkaCluster::start(3, &KafkaOptions { heap_mib: 384, ..quick_broker() })?;
    let mut twins = Twins::start(quick(Some(&cluster.bootstrap())), 2)?;
    let (api, folder) = (twins.api()?, Folder::new()?);
    let mut trial = Trial::begin(&api, &folder, Duration::from_millis(80)).await?;
    let losing = async {
        for partition in PARTITIONS.into_iter().cycle().take(times("TEST_LEADERS", 1)?) {
            let lost = lose_leader(&cluster, partition, &api).await?;
            tokio::task::block_in_place(|| lost.restart())?;
        }
        Ok(())
    };
    trial.during(losing).await?;
    let past = trial.end().await?;
    past.ensure_left(&twins.stopped()?).await
}
