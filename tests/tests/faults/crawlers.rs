//! Two crawlers on one data folder: one stands still for longer than its leases, the other takes its work over, and the
//! first goes on as if nothing had happened. What it does then changes nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use twin_sqlite::Database;
use twin_stack::{Kafka, TwinOptions, TwinProcess};
use twin_tests::{Api, Folder, Stored, Trial, eventually, freeze, quick, quick_broker};

/// Milliseconds after which a lease passes on.
const LEASE_MS: u64 = 1500;
/// Syncs of the other before the one that stands still goes on.
const SYNCS: f64 = 3.0;

async fn syncs(crawler: &TwinProcess) -> Result<f64> {
    Ok(Api::new(crawler.base_url())?.metrics().await?.sum("twin_crawler_syncs_total", &[]))
}

/// How often a lease changed hands.
fn epoch(database: &Database, name: &'static str) -> Result<i64> {
    let read = |c: &twin_sqlite::rusqlite::Connection| -> Result<i64, twin_sqlite::Error> {
        Ok(c.query_row("SELECT epoch FROM leases WHERE name = ?1", [name], |row| row.get(0))?)
    };
    Ok(database.read_blocking(read)?)
}

async fn sleep_and_wake(sleeper: &TwinProcess, other: &TwinProcess) -> Result<()> {
    freeze(sleeper).await?;
    let before = syncs(other).await?;
    eventually("the other syncs", async || Ok((syncs(other).await? >= before + SYNCS).then_some(()))).await?;
    // That is what goes wrong: it stands still for longer than anything that it may hold.
    tokio::time::sleep(Duration::from_millis(LEASE_MS * 2)).await;
    sleeper.thaw()?;
    let before = syncs(sleeper).await?;
    eventually("the sleeper syncs again", async || Ok((syncs(sleeper).await? > before).then_some(()))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crawler_that_stood_still_past_its_leases_changes_nothing() -> Result<()> {
    let kafka = Kafka::start(quick_broker())?;
    let mut options = quick(Some(kafka.bootstrap()));
    options.environment.push(("TWIN_COORDINATION_LEASE_MS".to_owned(), LEASE_MS.to_string()));
    let services = ["gateway", "inference", "cleaner", "chunker", "embedder"].map(str::to_owned).into();
    let mut front = TwinProcess::start(TwinOptions { arguments: services, ..options.clone() })?;
    let crawler = || {
        let (data, arguments) = (Some(front.data().to_owned()), vec!["crawler".to_owned()]);
        TwinProcess::start(TwinOptions { data, arguments, ..options.clone() })
    };
    let mut crawlers = [crawler()?, crawler()?];

    let (api, folder) = (Api::new(front.base_url())?, Folder::new()?);
    let mut trial = Trial::begin(&api, &folder, Duration::from_millis(60)).await?;
    let [first, second] = &crawlers;
    trial
        .during(async {
            sleep_and_wake(first, second).await?;
            sleep_and_wake(second, first).await
        })
        .await?;
    let past = trial.end().await?;

    for crawler in &mut crawlers {
        ensure!(crawler.terminate()? == 0, "it does not end in good order:\n{}", crawler.log());
    }
    ensure!(front.terminate()? == 0, "it does not end in good order:\n{}", front.log());
    let database = Database::open(&front.data().join("twin.db"))?;
    ensure!(epoch(&database, "outbox")? > 1, "the outbox was never taken over");
    past.ensure_left(&Stored::read(front.data())?).await
}
