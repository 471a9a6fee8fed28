//! `kill -9` at any moment, over and over, while an author writes and a reader asks: nothing acknowledged is lost,
//! nothing is there twice, nothing old or deleted is served, and the end is that of a run in which nothing happened.

use std::time::Duration;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use twin_stack::{Kafka, TwinProcess};
use twin_tests::{Api, Folder, Trial, Twins, quick, quick_broker, times};

/// Kills the process at random moments, a third of them while it starts, and starts it again.
async fn kill_again_and_again(
    twin: &mut TwinProcess,
    api: &Api,
    kills: usize,
    up_ms: u64,
    mut random: StdRng,
) -> Result<()> {
    for _ in 0..kills {
        let moment_ms = if random.random_bool(1.0 / 3.0) {
            random.random_range(0..800)
        } else {
            api.up().await?;
            random.random_range(0..up_ms)
        };
        tokio::time::sleep(Duration::from_millis(moment_ms)).await;
        twin.kill9()?;
        twin.restart_unattended()?;
    }
    api.up().await
}

async fn survives(kafka: Option<&Kafka>, kills: usize, up_ms: u64) -> Result<()> {
    let mut twin = Twins::start(quick(kafka.map(Kafka::bootstrap)), 1)?;
    let (api, folder) = (twin.api()?, Folder::new()?);
    let mut trial = Trial::begin(&api, &folder, Duration::from_millis(40)).await?;
    let random = StdRng::seed_from_u64(trial.seed());
    let killing = kill_again_and_again(&mut twin[0], &api, kills, up_ms, random);
    trial.during(killing).await.with_context(|| format!("with {kills} kills"))?;
    let past = trial.end().await?;
    past.ensure_left(&twin.stopped()?).await
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
