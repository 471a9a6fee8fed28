//! Every service twice: two full twins over Kafka on one data folder, of which now one and now the other is killed, or
//! stands still for longer than its leases and its place in the groups, and goes on as if nothing had happened.

use std::time::Duration;

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use twin_stack::{Kafka, TwinProcess};
use twin_tests::{Api, Folder, Trial, Twins, freeze, quick, quick_broker, times};

/// Milliseconds after which a lease passes on. The groups notice an absence after a second.
const LEASE_MS: u64 = 1500;

/// Kills one of them at a random moment, and starts it again.
async fn kill(twin: &mut TwinProcess, random: &mut StdRng) -> Result<()> {
    tokio::time::sleep(Duration::from_millis(random.random_range(0..1_000))).await;
    twin.kill9()?;
    twin.restart_unattended()?;
    Api::new(twin.base_url())?.up().await
}

/// Lets one of them stand still past all that it holds. The time is what goes wrong.
async fn stand_still(twin: &TwinProcess) -> Result<()> {
    freeze(twin).await?;
    tokio::time::sleep(Duration::from_millis(LEASE_MS * 3)).await;
    twin.thaw()?;
    Api::new(twin.base_url())?.up().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_twins_that_are_killed_and_stand_still_in_turn_leave_what_one_undisturbed_leaves() -> Result<()> {
    let kafka = Kafka::start(quick_broker())?;
    let mut options = quick(Some(kafka.bootstrap()));
    options.environment.push(("TWIN_COORDINATION_LEASE_MS".to_owned(), LEASE_MS.to_string()));
    let mut twins = Twins::start(options, 2)?;

    // One of the two is asked: whoever waits for one that stands still does nothing meanwhile.
    let (api, folder) = (Api::new(twins[0].base_url())?, Folder::new()?);
    let mut trial = Trial::begin(&api, &folder, Duration::from_millis(60)).await?;
    let mut random = StdRng::seed_from_u64(trial.seed());
    let faults = async {
        for _ in 0..times("TEST_PAIR_ROUNDS", 2)? {
            for (killed, still) in [(1, 0), (0, 1)] {
                kill(&mut twins[killed], &mut random).await?;
                stand_still(&twins[still]).await?;
            }
        }
        Ok(())
    };
    trial.during(faults).await?;
    let past = trial.end().await?;
    past.ensure_left(&twins.stopped()?).await
}
