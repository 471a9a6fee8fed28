//! Syncs that are cut off, over the real embedded warehouse: the next goes on where they were.

mod common;

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use common::new_source;
use common::server::{Page, Server};
use tempfile::{TempDir, tempdir};
use twin_crawler::{Options, Sources, Syncer};
use twin_schemas::SourceKind;
use twin_sqlite::{Database, SqliteWarehouse};
use twin_warehouse::{DocumentFilter, LastSync, SourceRow, SyncOutcome, Warehouse};

struct Setup {
    _data: TempDir,
    server: Server,
    options: Options,
    warehouse: Arc<dyn Warehouse>,
    source: SourceRow,
    syncs: u64,
}

impl Setup {
    /// A feed of so many items whose texts are on their pages.
    async fn new(items: usize) -> Self {
        let data = tempdir().unwrap();
        let database = Database::open(&data.path().join("twin.db")).unwrap();
        let warehouse: Arc<dyn Warehouse> = Arc::new(SqliteWarehouse::open(database).await.unwrap());
        let server = Server::start().await;
        let source = new_source("ada".parse().unwrap(), SourceKind::new("feed"), &server.url("/feed"), 60);
        let source = warehouse.put_source(source).await.unwrap();
        let entries: Vec<String> = (0..items).map(|item| server.item_of_page(&format!("i{item}"))).collect();
        server.put("/feed", Page::feed(&entries.iter().map(String::as_str).collect::<Vec<_>>()).etag("\"1\""));
        for item in 0..items {
            server.put(&format!("/i{item}"), Page::html(&format!("text {item}")));
        }
        let options = server.options();
        Self { _data: data, server, options, warehouse, source, syncs: 0 }
    }

    /// A sync that stores how it went.
    async fn sync(&mut self) -> LastSync {
        self.syncs += 1;
        let (claim, row) = self.warehouse.claim_source(self.source.id, self.syncs, Utc::now()).await.unwrap().unwrap();
        let syncer = Syncer::new(&self.options, Sources::new(&self.options).unwrap(), self.warehouse.clone());
        let synced = syncer.sync(&row, &claim).await.unwrap();
        let sync = synced.sync.clone();
        assert!(self.warehouse.finish_sync(&claim, synced.sync, synced.cursor, row.next_run_at).await.unwrap());
        sync
    }

    /// A sync that is killed once the server is asked for `page`, which it does not give.
    async fn killed_at(&mut self, page: &str) {
        self.server.put(page, Page::html("never").after(Duration::from_secs(3600)));
        self.syncs += 1;
        let (claim, row) = self.warehouse.claim_source(self.source.id, self.syncs, Utc::now()).await.unwrap().unwrap();
        let syncer = Syncer::new(&self.options, Sources::new(&self.options).unwrap(), self.warehouse.clone());
        let sync = tokio::spawn(async move { syncer.sync(&row, &claim).await.is_some() });
        let asked = async {
            while self.server.header(page, "host").is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), asked).await.expect("the page is asked for");
        sync.abort();
        assert!(sync.await.unwrap_err().is_cancelled());
    }

    async fn live(&self) -> usize {
        self.warehouse.documents(&DocumentFilter::default(), None, 1000).await.unwrap().items.len()
    }
}

fn pages(items: std::ops::Range<usize>) -> Vec<String> {
    items.map(|item| format!("/i{item}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_in_the_midst_what_was_recorded_is_not_fetched_again() {
    let mut setup = Setup::new(20).await;
    setup.killed_at("/i12").await;
    assert_eq!(setup.live().await, 12);
    setup.server.put("/i12", Page::html("text 12"));
    setup.server.asked();
    let sync = setup.sync().await;
    assert_eq!((sync.outcome, sync.seen, sync.new), (SyncOutcome::Completed, 20, 8));
    assert_eq!(setup.server.asked(), [vec!["/feed".to_owned()], pages(12..20)].concat());
    assert_eq!(setup.live().await, 20);

    // All was read now: an unchanged feed is not sent again, and what has changed is looked at anew.
    setup.sync().await;
    assert_eq!(setup.server.asked(), ["/feed+"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_in_the_midst_does_not_begin_the_reading_anew() {
    let mut setup = Setup::new(120).await;
    setup.server.put("/i61", Page::status(429).header("retry-after", "3600"));
    let sync = setup.sync().await;
    assert!(matches!(&sync.outcome, SyncOutcome::Failed { reason } if reason.contains("3600 s")), "{sync:?}");
    assert_eq!((sync.new, setup.live().await), (61, 61));
    setup.server.put("/i61", Page::html("text 61"));
    setup.server.asked();
    // Another process, or the same an hour later.
    let sync = setup.sync().await;
    assert_eq!((sync.outcome, sync.seen, sync.new), (SyncOutcome::Completed, 120, 59));
    assert_eq!(setup.server.asked(), [vec!["/feed".to_owned()], pages(61..120)].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_changed_since_it_was_cut_off_is_looked_at_as_a_whole() {
    let mut setup = Setup::new(10).await;
    setup.killed_at("/i5").await;
    let entries: Vec<String> = (3..10).map(|item| setup.server.item_of_page(&format!("i{item}"))).collect();
    let feed = Page::feed(&entries.iter().map(String::as_str).collect::<Vec<_>>());
    setup.server.put("/feed", feed.etag("\"2\""));
    setup.server.put("/i3", Page::html("edited"));
    setup.server.put("/i5", Page::html("text 5"));
    let sync = setup.sync().await;
    assert_eq!((sync.outcome, sync.new, sync.changed), (SyncOutcome::Completed, 5, 1));
    assert_eq!(setup.live().await, 10, "what left the feed is not gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_a_sync_that_was_taken_over_is_not_saved() {
    let mut setup = Setup::new(5).await;
    let (first, _) = setup.warehouse.claim_source(setup.source.id, 1, Utc::now()).await.unwrap().unwrap();
    setup.syncs = 1;
    setup.sync().await;
    let cursor = setup.warehouse.source(setup.source.id).await.unwrap().unwrap().cursor;
    assert!(!setup.warehouse.save_cursor(&first, serde_json::json!({"old": true})).await.unwrap());
    assert_eq!(setup.warehouse.source(setup.source.id).await.unwrap().unwrap().cursor, cursor);
}
