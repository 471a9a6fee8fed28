//! `kill -9` at any moment, over and over, while an author writes and a reader asks: nothing acknowledged is lost,
//! nothing is there twice, nothing old or deleted is served, and the end is that of a run in which nothing happened.

use std::time::Duration;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use twin_stack::{Kafka, TwinProcess};
use twin_tests::{Api, Folder, Trial, eventually, quick, quick_broker, stopped, times};

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

async fn survives(kafka: Option<&Kafka>, kills: usize, up_ms: u64) -> Result<()> {
    let mut twin = TwinProcess::start(quick(kafka.map(Kafka::bootstrap)))?;
    let (api, folder) = (Api::new(twin.base_url())?, Folder::new()?);
    let mut trial = Trial::begin(&api, &folder, Duration::from_millis(40)).await?;
    let random = StdRng::seed_from_u64(trial.seed());
    let killing = kill_again_and_again(&mut twin, &api, kills, up_ms, random);
    trial.during(killing).await.with_context(|| format!("with {kills} kills"))?;
    let past = trial.end().await?;
    past.ensure_left(&stopped(&mut twin)?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_embedded_log() -> Result<()> {
    survives(None, times("TEST_KILLS", 40)?, 1_500).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_kafka() -> Result<()> {
    // The group notices a kill after a second; what comes after that is where it gets interesting.
    let kafka = Kafka::start(quick_broker())?;
    survives(Some(&kafka), times("TEST_KILLS", 10)?, 4_000).await
}
