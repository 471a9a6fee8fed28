//! Sources that are removed while they are synced, and crawlers that share them.

mod common;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use tempfile::{TempDir, tempdir};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use twin_coordination::{Member, Owner};
use twin_crawler::sources::{Collect, Evidence, Listing, Sink, Source, SourceDocument};
use twin_crawler::{Crawler, Error, Options, Sources};
use twin_schemas::{AuthorId, Category, ContentHash, MediaType, SourceKind};
use twin_sqlite::{Database, SqliteLeases, SqliteWarehouse};
use twin_telemetry::{MetricsRegistry, Shutdown};
use twin_warehouse::{DocumentFilter, SourceRow, Warehouse};

/// A platform whose listings go on as they are let.
#[derive(Clone)]
struct Gated {
    /// What is there.
    documents: Arc<Mutex<BTreeSet<u32>>>,
    /// Steps that listings may still take: one for each document, and one for the end.
    gate: Arc<Semaphore>,
    /// Listings that were begun, and those of them that have not ended.
    begun: Arc<Semaphore>,
    at_once: Arc<Mutex<(u32, u32)>>,
}

impl Gated {
    fn new(documents: impl IntoIterator<Item = u32>, steps: usize) -> Self {
        Self {
            documents: Arc::new(Mutex::new(documents.into_iter().collect())),
            gate: Arc::new(Semaphore::new(steps)),
            begun: Arc::new(Semaphore::new(0)),
            at_once: Arc::default(),
        }
    }

    /// The same platform, with a gate of its own.
    fn with_gate(&self, steps: usize) -> Self {
        Self { gate: Arc::new(Semaphore::new(steps)), begun: Arc::new(Semaphore::new(0)), ..self.clone() }
    }

    async fn step(&self) {
        self.gate.acquire().await.unwrap().forget();
    }

    async fn has_begun(&self) {
        self.begun.acquire().await.unwrap().forget();
    }
}

/// Counts a listing until it is dropped.
struct Counted(Arc<Mutex<(u32, u32)>>);

impl Counted {
    fn new(at_once: &Arc<Mutex<(u32, u32)>>) -> Self {
        let mut counts = at_once.lock().unwrap();
        counts.0 += 1;
        counts.1 = counts.1.max(counts.0);
        Self(at_once.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.lock().unwrap().0 -= 1;
    }
}

#[async_trait]
impl Source for Gated {
    fn kind(&self) -> &'static str {
        "gated"
    }

    fn recognises(&self, _: &str) -> bool {
        false
    }

    fn accept(&self, location: &str) -> Result<String, String> {
        Ok(location.to_owned())
    }

    async fn collect(&self, request: Collect<'_>, sink: &mut dyn Sink) -> Result<Listing, Error> {
        let _counted = Counted::new(&self.at_once);
        let there = self.documents.lock().unwrap().clone();
        self.begun.add_permits(1);
        for number in there {
            self.step().await;
            sink.document(document(request.location(), number)).await?;
        }
        self.step().await;
        Ok(Listing { cursor: serde_json::Value::Null, evidence: Evidence::Complete })
    }
}

fn document(location: &str, number: u32) -> SourceDocument {
    let document = SourceDocument {
        scope: location.into(),
        identity: number.to_string(),
        natural_key: number.to_string(),
        category: Category::Article,
        title: None,
        url: None,
        published_at: None,
        media_type: MediaType::Text,
        content: format!("text {number}"),
        content_hash: ContentHash::stored(""),
    };
    document.hashed()
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A crawler that runs.
struct Running {
    shutdown: Shutdown,
    crawler: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.shutdown.begin();
        tokio::time::timeout(Duration::from_secs(20), self.crawler).await.expect("it does not stop").unwrap();
    }
}

struct Setup {
    _data: TempDir,
    database: Database,
    warehouse: Arc<dyn Warehouse>,
}

impl Setup {
    async fn new() -> Self {
        let data = tempdir().unwrap();
        let database = Database::open(&data.path().join("twin.db")).unwrap();
        let warehouse = Arc::new(SqliteWarehouse::open(database.clone()).await.unwrap());
        Self { database, warehouse, _data: data }
    }

    /// A crawler of a process of this node, whose leases pass on after so long.
    async fn crawler(&self, platform: &Gated, node: &str, lease_ms: u64) -> Running {
        let options = Options { poll_ms: 10, records_in_flight: 1, ..Options::default() };
        let leases = Arc::new(SqliteLeases::open(self.database.clone()).await.unwrap());
        let member = Member::new(leases, Owner::new(node), &twin_coordination::Options { lease_ms });
        let sources = Sources::of(vec![Arc::new(platform.clone())]);
        let crawler = Crawler::new(options, sources, self.warehouse.clone(), member, &MetricsRegistry::new()).unwrap();
        let shutdown = Shutdown::new();
        let crawler = tokio::spawn(crawler.run(shutdown.signal()));
        Running { shutdown, crawler }
    }

    async fn register(&self) -> SourceRow {
        let author: AuthorId = "ada".parse().unwrap();
        let kind = SourceKind::new("gated");
        self.warehouse.put_source(common::new_source(author, kind, "here", 3600)).await.unwrap()
    }

    /// As the gateway does it.
    async fn remove_with_documents(&self, source: &SourceRow) {
        let removal = self.warehouse.begin_removal(source.id).await.unwrap().unwrap();
        for known in self.warehouse.known(source.id, None, 1000).await.unwrap().items {
            self.warehouse.retract_claimed(&removal, known.document_id, Utc::now()).await.unwrap();
        }
        assert!(self.warehouse.remove_source(&removal).await.unwrap());
    }

    async fn live(&self) -> BTreeSet<u32> {
        let documents = self.warehouse.documents(&DocumentFilter::default(), None, 1000).await.unwrap().items;
        documents.into_iter().map(|row| row.meta.natural_key.parse().unwrap()).collect()
    }

    async fn syncs(&self, source: &SourceRow) -> Option<twin_warehouse::LastSync> {
        self.warehouse.source(source.id).await.unwrap().unwrap().last_sync
    }
}

/// Longer than any test.
const LONG_MS: u64 = 600_000;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_source_that_is_removed_while_it_is_synced_comes_back() {
    let setup = Setup::new().await;
    let source = setup.register().await;
    let platform = Gated::new(0..10, 4);
    let crawler = setup.crawler(&platform, "a", LONG_MS).await;
    until("the sync is under way", async || setup.live().await.len() >= 3).await;
    setup.remove_with_documents(&source).await;
    assert_eq!(setup.live().await, BTreeSet::new());
    platform.gate.add_permits(100);
    until("the sync has ended", async || platform.at_once.lock().unwrap().0 == 0).await;
    crawler.stop().await;
    assert_eq!(setup.live().await, BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_waits_for_its_platform_ends_when_its_source_is_removed() {
    let setup = Setup::new().await;
    let source = setup.register().await;
    let platform = Gated::new(0..10, 0);
    let crawler = setup.crawler(&platform, "a", LONG_MS).await;
    platform.has_begun().await;
    setup.remove_with_documents(&source).await;
    until("the sync has ended", async || platform.at_once.lock().unwrap().0 == 0).await;

    // Registered anew it is synced at once: nothing of before is in the way.
    setup.register().await;
    platform.gate.add_permits(100);
    until("all is there", async || setup.live().await.len() == 10).await;
    crawler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_crawlers_never_sync_a_source_at_the_same_time() {
    let setup = Setup::new().await;
    let source = setup.register().await;
    let platform = Gated::new(0..10, 0);
    let lease_ms = 300;
    let one = setup.crawler(&platform, "a", lease_ms).await;
    let other = setup.crawler(&platform, "b", lease_ms).await;
    platform.has_begun().await;
    // For several times to live of the lease.
    for _ in 0..10 {
        platform.gate.add_permits(1);
        tokio::time::sleep(Duration::from_millis(lease_ms / 3)).await;
    }
    platform.gate.add_permits(100);
    until("the sync has ended", async || setup.syncs(&source).await.is_some()).await;
    setup.warehouse.request_sync(source.id, false).await.unwrap();
    until("the next sync has begun", async || platform.begun.available_permits() > 0).await;
    one.stop().await;
    other.stop().await;
    assert_eq!(platform.at_once.lock().unwrap().1, 1, "syncs at a time");
    assert_eq!(platform.begun.available_permits(), 1, "one sync for each time that it was due");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crawler_that_stood_still_while_another_took_over_deletes_and_finishes_nothing() {
    let setup = Setup::new().await;
    let source = setup.register().await;
    let platform = Gated::new(0..10, 100);
    let crawler = setup.crawler(&platform, "a", LONG_MS).await;
    until("all is there", async || setup.syncs(&source).await.is_some()).await;
    crawler.stop().await;

    // Six are gone, which somebody has confirmed. The one that saw it stands still before it deletes them.
    *platform.documents.lock().unwrap() = (0..4).collect();
    assert!(setup.warehouse.request_sync(source.id, true).await.unwrap());
    let asleep = platform.with_gate(4);
    let sleeper = setup.crawler(&asleep, "a", LONG_MS).await;
    asleep.has_begun().await;
    *platform.documents.lock().unwrap() = (0..10).chain([20]).collect();
    // The next process of the same node takes over at once, and finds all of them there.
    let awake = platform.with_gate(100);
    let next = setup.crawler(&awake, "a", LONG_MS).await;
    until("the other has synced it", async || setup.syncs(&source).await.is_some_and(|sync| sync.seen == 11)).await;
    asleep.gate.add_permits(100);
    until("the sleeper has ended", async || platform.at_once.lock().unwrap().0 == 0).await;
    sleeper.stop().await;
    next.stop().await;
    assert_eq!(setup.live().await, (0..10).chain([20]).collect());
    let row = setup.warehouse.source(source.id).await.unwrap().unwrap();
    assert!(!row.deletions_confirmed && row.last_sync.unwrap().seen == 11 && row.next_run_at > Utc::now());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crawler_that_is_gone_was_syncing_is_synced_by_another_after_the_lease() {
    let setup = Setup::new().await;
    let source = setup.register().await;
    let platform = Gated::new(0..10, 0);
    let gone = setup.crawler(&platform, "a", 300).await;
    platform.has_begun().await;
    // As by a kill: nothing is given up.
    gone.crawler.abort();
    assert!(gone.crawler.await.unwrap_err().is_cancelled());
    platform.gate.add_permits(100);
    let other = setup.crawler(&platform, "b", 300).await;
    until("the other has synced it", async || setup.syncs(&source).await.is_some()).await;
    other.stop().await;
    assert_eq!(setup.live().await.len(), 10);
}
