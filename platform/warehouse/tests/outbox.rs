//! The outbox over a real log: every revision gets there, and the newest of a document comes last.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use twin_coordination::{Member, Owner};
use twin_schemas::{RawDocument, Revision, Topic};
use twin_sqlite::{Database, SqliteLeases, SqliteLog, SqliteWarehouse};
use twin_stream::testing::{Watch, Watched};
use twin_stream::{EventLog, Record, StartAt, TopicPartition, TopicSpec};
use twin_telemetry::Shutdown;
use twin_warehouse::testing::observation;
use twin_warehouse::{Outbox, OutboxOptions, Warehouse};

struct Fixture {
    warehouse: Arc<dyn Warehouse>,
    database: Database,
    _folder: tempfile::TempDir,
}

async fn sqlite() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    let warehouse = Arc::new(SqliteWarehouse::open(database.clone()).await.unwrap());
    Fixture { warehouse, database, _folder: folder }
}

async fn log(fixture: &Fixture) -> Arc<dyn EventLog> {
    let log = SqliteLog::open(fixture.database.clone(), 100_000).await.unwrap();
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    Arc::new(log)
}

/// What the log holds of raw documents, in its order: revision, and whether it is a tombstone.
async fn published(log: &dyn EventLog) -> Vec<(u64, bool)> {
    let partition = TopicPartition { topic: Topic::DocumentsRaw.name().into(), partition: 0 };
    if log.watermarks(&partition.topic).await.unwrap()[&0].end == 0 {
        return Vec::new();
    }
    let mut tail = log.tail(&partition, StartAt::Beginning).await.unwrap();
    let records = tail.next().await.unwrap();
    let read = |record: &Record| {
        let attributes = twin_schemas::Attributes::from_headers(&record.headers).unwrap();
        (attributes.revision.unwrap().0, record.value.is_none())
    };
    records.iter().map(read).collect()
}

/// Each append stands still until it is let go.
struct Slow {
    /// Says that an append stands still.
    begun: mpsc::UnboundedSender<()>,
    go_on: Semaphore,
}

#[async_trait]
impl Watch for Slow {
    async fn appending(&self) {
        self.begun.send(()).unwrap();
        self.go_on.acquire().await.unwrap().forget();
    }
}

/// A relay of this process of the node: another process of the same node takes over at once.
async fn outbox(fixture: &Fixture, log: Arc<dyn EventLog>, node: &str) -> Outbox {
    let leases = Arc::new(SqliteLeases::open(fixture.database.clone()).await.unwrap());
    let member = Member::new(leases, Owner::new(node), &twin_coordination::Options { lease_ms: 60_000 });
    Outbox::new(OutboxOptions::default(), fixture.warehouse.clone(), log, member)
}

/// A relay that stands still in its first append, until it is let go, and says so.
async fn slow_outbox(fixture: &Fixture, log: &Arc<dyn EventLog>, node: &str) -> (Arc<Slow>, JoinHandle<usize>) {
    let (begun, mut stands_still) = mpsc::unbounded_channel();
    let slow = Arc::new(Slow { begun, go_on: Semaphore::new(0) });
    let mut relay = outbox(fixture, Arc::new(Watched::new(log.clone(), slow.clone())), node).await;
    let relay = tokio::spawn(async move { relay.publish_some().await.unwrap() });
    stands_still.recv().await.unwrap();
    (slow, relay)
}

#[tokio::test]
async fn each_revision_is_published_though_a_relay_is_cut_off_between_log_and_mark() {
    let fixture = sqlite().await;
    let (warehouse, log) = (fixture.warehouse.clone(), log(&fixture).await);
    let id = observation("a", "one").key.id();
    warehouse.record(observation("a", "one")).await.unwrap();
    let mut relay = outbox(&fixture, log.clone(), "a").await;
    assert_eq!(relay.publish_some().await.unwrap(), 1);
    assert_eq!(relay.publish_some().await.unwrap(), 0);

    // Appended but not marked, as by a process killed in between: appended again, as the same event.
    warehouse.record(observation("a", "two")).await.unwrap();
    let row = warehouse.unpublished(1).await.unwrap().remove(0);
    let payload: RawDocument = row.payload().unwrap();
    let event = twin_stream::NewEvent::document("crawler", id, Revision(2), &payload);
    log.append(vec![event.into_record()]).await.unwrap();
    warehouse.retract(id, Utc::now()).await.unwrap();
    // A mark for a revision that was overtaken does not hide the newer one.
    warehouse.mark_published(&[(id, Revision(2))]).await.unwrap();

    let shutdown = Shutdown::new();
    // The next process of the node: it need not wait for the lease of the one before.
    let running = tokio::spawn(outbox(&fixture, log.clone(), "a").await.run(shutdown.signal()));
    while !warehouse.unpublished(1).await.unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    shutdown.begin();
    running.await.unwrap();
    assert_eq!(published(&*log).await, [(1, false), (2, false), (3, true)], "a deletion is a tombstone");
}

#[tokio::test]
async fn a_relay_that_stood_still_does_not_leave_an_old_revision_as_the_last_one() {
    let fixture = sqlite().await;
    let (warehouse, log) = (fixture.warehouse.clone(), log(&fixture).await);
    warehouse.record(observation("a", "one")).await.unwrap();
    let (slow, late) = slow_outbox(&fixture, &log, "a").await;

    warehouse.record(observation("a", "two")).await.unwrap();
    let mut next = outbox(&fixture, log.clone(), "a").await;
    assert_eq!(next.publish_some().await.unwrap(), 1);
    assert_eq!(published(&*log).await, [(2, false)]);
    slow.go_on.add_permits(1);
    late.await.unwrap();
    while next.publish_some().await.unwrap() > 0 {}
    assert_eq!(published(&*log).await, [(2, false), (1, false), (2, false)], "a compacted topic keeps the last one");
}

#[tokio::test]
async fn an_edit_while_the_revision_before_is_published_is_published_once() {
    let fixture = sqlite().await;
    let (warehouse, log) = (fixture.warehouse.clone(), log(&fixture).await);
    warehouse.record(observation("a", "one")).await.unwrap();
    let (slow, relay) = slow_outbox(&fixture, &log, "a").await;
    warehouse.record(observation("a", "two")).await.unwrap();
    slow.go_on.add_permits(1);
    relay.await.unwrap();
    let mut next = outbox(&fixture, log.clone(), "a").await;
    while next.publish_some().await.unwrap() > 0 {}
    assert_eq!(published(&*log).await, [(1, false), (2, false)]);
}

#[tokio::test]
async fn one_relay_works_at_a_time_and_gives_its_lease_up_when_it_ends() {
    let fixture = sqlite().await;
    let (warehouse, log) = (fixture.warehouse.clone(), log(&fixture).await);
    let mut other = outbox(&fixture, log.clone(), "b").await;
    warehouse.record(observation("a", "one")).await.unwrap();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(outbox(&fixture, log.clone(), "a").await.run(shutdown.signal()));
    while !warehouse.unpublished(1).await.unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // The first keeps the lease for a while after its work: more of it may come.
    let (begun, mut stands_still) = mpsc::unbounded_channel();
    let slow = Arc::new(Slow { begun, go_on: Semaphore::new(9) });
    let mut third = outbox(&fixture, Arc::new(Watched::new(log.clone(), slow)), "c").await;
    warehouse.record(observation("b", "one")).await.unwrap();
    assert_eq!(third.publish_some().await.unwrap(), 0);
    assert!(stands_still.try_recv().is_err(), "it does not come to an append");
    while !warehouse.unpublished(1).await.unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    shutdown.begin();
    running.await.unwrap();
    warehouse.record(observation("c", "one")).await.unwrap();
    assert_eq!(other.publish_some().await.unwrap(), 1);
}
