//! Every service twice: two full twins over Kafka on one data folder, of which now one and now the other is killed, or
//! stands still for longer than its leases and its place in the groups, and goes on as if nothing had happened.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use twin_stack::{Kafka, TwinOptions, TwinProcess};
use twin_tests::{Api, Folder, Stored, Trial, eventually, freeze, quick, quick_broker, times};

/// Milliseconds after which a lease passes on. The groups notice an absence after a second.
const LEASE_MS: u64 = 1500;

async fn up(twin: &TwinProcess) -> Result<()> {
    let api = Api::new(twin.base_url())?;
    eventually("the twin is up", async || Ok(api.get("/readyz").await.ok().map(drop))).await
}

/// Kills one of them at a random moment, and starts it again.
async fn kill(twin: &mut TwinProcess, random: &mut StdRng) -> Result<()> {
    tokio::time::sleep(Duration::from_millis(random.random_range(0..1_000))).await;
    twin.kill9()?;
    twin.restart_unattended()?;
    up(twin).await
}

/// Lets one of them stand still past all that it holds. The time is what goes wrong.
async fn stand_still(twin: &TwinProcess) -> Result<()> {
    freeze(twin).await?;
    tokio::time::sleep(Duration::from_millis(LEASE_MS * 3)).await;
    twin.thaw()?;
    up(twin).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_twins_that_are_killed_and_stand_still_in_turn_leave_what_one_undisturbed_leaves() -> Result<()> {
    let kafka = Kafka::start(quick_broker())?;
    let mut options = quick(Some(kafka.bootstrap()));
    options.environment.push(("TWIN_COORDINATION_LEASE_MS".to_owned(), LEASE_MS.to_string()));
    let mut first = TwinProcess::start(options.clone())?;
    let mut second = TwinProcess::start(TwinOptions { data: Some(first.data().to_owned()), ..options })?;

    let address = first.base_url().to_owned();
    let (api, folder) = (Api::new(&address)?, Folder::new()?);
    let mut trial = Trial::begin(&api, &folder, Duration::from_millis(60)).await?;
    let mut random = StdRng::seed_from_u64(trial.seed());
    let faults = async {
        for _ in 0..times("TEST_PAIR_ROUNDS", 2)? {
            kill(&mut second, &mut random).await?;
            stand_still(&first).await?;
            kill(&mut first, &mut random).await?;
            stand_still(&second).await?;
        }
        Ok(())
    };
    trial.during(faults).await?;
    let past = trial.end().await?;

    for twin in [&mut second, &mut first] {
        ensure!(twin.terminate()? == 0, "it does not end in good order:\n{}", twin.log());
    }
    past.ensure_left(&Stored::read(first.data())?).await
}
