//! Syncs and the schedule, over the real embedded warehouse.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use common::write;
use tempfile::{TempDir, tempdir};
use twin_coordination::{Member, Owner};
use twin_crawler::sources::{Collect, Evidence, Listing, Sink, Source};
use twin_crawler::{Crawler, Error, Options, Sources, Syncer};
use twin_schemas::{AuthorId, Revision, SourceKind};
use twin_sqlite::{Database, SqliteLeases, SqliteWarehouse};
use twin_telemetry::{MetricsRegistry, Shutdown, gather_text};
use twin_warehouse::{DocumentFilter, LastSync, SourceRow, SyncOutcome, Warehouse};

/// A folder that is registered as a source, and a warehouse to sync it into.
struct Setup {
    _data: TempDir,
    folder: TempDir,
    database: Database,
    warehouse: Arc<dyn Warehouse>,
    source: SourceRow,
    syncs: u64,
}

impl Setup {
    async fn new() -> Self {
        let (data, folder) = (tempdir().unwrap(), tempdir().unwrap());
        let database = Database::open(&data.path().join("twin.db")).unwrap();
        let warehouse: Arc<dyn Warehouse> = Arc::new(SqliteWarehouse::open(database.clone()).await.unwrap());
        let source = register(&*warehouse, "folder", folder.path().to_str().unwrap(), 60).await;
        Self { _data: data, folder, database, warehouse, source, syncs: 0 }
    }

    async fn sync(&mut self) -> LastSync {
        let sources = Sources::new(&Options::default()).unwrap();
        self.syncs += 1;
        let claimed = self.warehouse.claim_source(self.source.id, self.syncs, Utc::now()).await.unwrap();
        let (claim, row) = claimed.unwrap();
        let syncer = Syncer::new(&Options::default(), sources, self.warehouse.clone());
        let synced = syncer.sync(&row, &claim).await.expect("nobody else has claimed it");
        let sync = synced.sync.clone();
        assert!(self.warehouse.finish_sync(&claim, synced.sync, synced.cursor, row.next_run_at).await.unwrap());
        sync
    }

    fn write(&self, path: &str, content: &str) {
        write(self.folder.path(), path, content);
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.folder.path().join(path)).unwrap();
    }

    async fn live(&self) -> BTreeSet<String> {
        let documents = self.warehouse.documents(&DocumentFilter::default(), None, 1000).await.unwrap().items;
        documents.into_iter().map(|row| row.meta.natural_key).collect()
    }
}

async fn register(warehouse: &dyn Warehouse, kind: &str, location: &str, interval_s: u64) -> SourceRow {
    let author: AuthorId = "ada".parse().unwrap();
    warehouse.put_source(common::new_source(author, SourceKind::new(kind), location, interval_s)).await.unwrap()
}

fn counts(sync: &LastSync) -> (u64, u64, u64, u64) {
    (sync.seen, sync.new, sync.changed, sync.deleted)
}

#[tokio::test]
async fn what_is_new_edited_and_deleted_becomes_one_revision_each() {
    let mut setup = Setup::new().await;
    for number in 0..100 {
        setup.write(&format!("{number}.md"), "text");
    }
    assert_eq!(counts(&setup.sync().await), (100, 100, 0, 0));
    assert_eq!(counts(&setup.sync().await), (100, 0, 0, 0));
    setup.write("1.md", "edited");
    setup.write("new.md", "new");
    setup.remove("2.md");
    assert_eq!(counts(&setup.sync().await), (100, 1, 1, 1));
    assert!(!setup.live().await.contains("2.md"));
    setup.write("2.md", "back");
    let sync = setup.sync().await;
    assert_eq!((counts(&sync), sync.outcome), ((101, 1, 0, 0), SyncOutcome::Completed));
}

#[tokio::test]
async fn a_renamed_file_with_an_id_stays_the_same_document() {
    let mut setup = Setup::new().await;
    setup.write("a.md", "---\nid: x1\n---\ntext");
    setup.sync().await;
    let before = setup.warehouse.known(setup.source.id, None, 1).await.unwrap().items.remove(0);
    setup.write("2025/b.md", "---\nid: x1\n---\ntext");
    setup.remove("a.md");
    assert_eq!(counts(&setup.sync().await), (1, 0, 1, 0));
    let after = setup.warehouse.document(before.document_id).await.unwrap().unwrap();
    assert_eq!((after.meta.natural_key.as_str(), after.meta.revision), ("2025/b.md", Revision(2)));
}

#[tokio::test]
async fn a_file_that_becomes_unreadable_keeps_its_last_good_revision() {
    let mut setup = Setup::new().await;
    setup.write("a.md", "---\nid: x1\n---\ntext");
    setup.sync().await;
    setup.write("a.md", "---\nid: [\n---\ntext");
    let sync = setup.sync().await;
    assert_eq!((counts(&sync), sync.failed_total), ((0, 0, 0, 0), 1));
    assert_eq!(sync.failed[0].natural_key, "a.md");
    assert_eq!(setup.live().await, ["a.md".to_owned()].into());
}

#[tokio::test]
async fn many_deletions_wait_for_a_confirmation_and_the_rest_is_done_meanwhile() {
    let mut setup = Setup::new().await;
    for number in 0..10 {
        setup.write(&format!("{number}.md"), "text");
    }
    setup.sync().await;
    for number in 0..6 {
        setup.remove(&format!("{number}.md"));
    }
    setup.write("9.md", "edited");
    let sync = setup.sync().await;
    assert_eq!(sync.outcome, SyncOutcome::AwaitingConfirmation { deletions: 6 });
    assert_eq!(counts(&sync), (4, 0, 1, 0));
    assert_eq!(setup.live().await.len(), 10);

    assert!(setup.warehouse.request_sync(setup.source.id, true).await.unwrap());
    let sync = setup.sync().await;
    assert_eq!((counts(&sync), sync.outcome), ((4, 0, 0, 6), SyncOutcome::Completed));
    assert_eq!(setup.live().await.len(), 4);

    setup.write("10.md", "text");
    setup.write("11.md", "text");
    setup.sync().await;
    for number in 6..12 {
        setup.remove(&format!("{number}.md"));
    }
    let sync = setup.sync().await;
    assert_eq!(sync.outcome, SyncOutcome::AwaitingConfirmation { deletions: 6 }, "a confirmation is for one sync");
}

#[tokio::test]
async fn a_source_that_fails_deletes_nothing_and_keeps_its_cursor() {
    let mut setup = Setup::new().await;
    setup.write("a.md", "text");
    setup.sync().await;
    let cursor = setup.warehouse.source(setup.source.id).await.unwrap().unwrap().cursor;
    std::fs::remove_dir_all(setup.folder.path()).unwrap();
    let sync = setup.sync().await;
    assert!(matches!(sync.outcome, SyncOutcome::Failed { .. }), "{sync:?}");
    assert_eq!(setup.live().await.len(), 1);
    assert_eq!(setup.warehouse.source(setup.source.id).await.unwrap().unwrap().cursor, cursor);
}

/// A platform with a defect.
struct Broken;

#[async_trait]
impl Source for Broken {
    fn kind(&self) -> &'static str {
        "broken"
    }

    fn recognises(&self, _: &str) -> bool {
        false
    }

    fn accept(&self, location: &str) -> Result<String, String> {
        Ok(location.to_owned())
    }

    async fn collect(&self, request: Collect<'_>, _: &mut dyn Sink) -> Result<Listing, Error> {
        assert_eq!(request.location(), "elsewhere", "index out of bounds");
        Ok(Listing { cursor: serde_json::Value::Null, evidence: Evidence::Complete })
    }
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crawler_syncs_what_is_due_counts_it_and_outlives_a_source_that_panics() {
    let setup = Setup::new().await;
    let broken = register(&*setup.warehouse, "broken", "somewhere", 1).await;
    let unknown = register(&*setup.warehouse, "myspace", "ada", 60).await;
    let folder = register(&*setup.warehouse, "folder", setup.folder.path().to_str().unwrap(), 1).await;
    setup.write("a.md", "text");

    let registry = MetricsRegistry::new();
    let options = Options { poll_ms: 10, ..Options::default() };
    let builtin = Sources::new(&options).unwrap();
    let all = vec![builtin.get(&SourceKind::new("folder")).unwrap(), Arc::new(Broken)];
    let leases = Arc::new(SqliteLeases::open(setup.database.clone()).await.unwrap());
    let member = Member::new(leases, Owner::new("a"), &twin_coordination::Options::default());
    let crawler = Crawler::new(options, Sources::of(all), setup.warehouse.clone(), member, &registry).unwrap();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(crawler.run(shutdown.signal()));

    let outcome = async |id| setup.warehouse.source(id).await.unwrap().unwrap().last_sync.map(|sync| sync.outcome);
    until("the folder is synced", async || outcome(folder.id).await == Some(SyncOutcome::Completed)).await;
    until("the broken source has failed", async || outcome(broken.id).await.is_some()).await;
    until("the unknown kind has failed", async || outcome(unknown.id).await.is_some()).await;
    let reason = |outcome| match outcome {
        Some(SyncOutcome::Failed { reason }) => reason,
        other => panic!("not a failure: {other:?}"),
    };
    assert!(reason(outcome(broken.id).await).contains("panicked"));
    assert!(reason(outcome(unknown.id).await).contains("folder, broken"));

    setup.write("b.md", "later");
    until("the next sync has found the new file", async || setup.live().await.contains("b.md")).await;

    shutdown.begin();
    tokio::time::timeout(Duration::from_secs(60), running).await.unwrap().unwrap();
    let text = gather_text(&registry).unwrap();
    assert!(text.contains("twin_crawler_syncs_total{kind=\"broken\",outcome=\"failed\"}"), "{text}");
    assert!(text.contains("twin_crawler_documents_total{change=\"new\",kind=\"folder\"}"), "{text}");
    assert!(text.contains("twin_crawler_sync_seconds_count{kind=\"folder\"}"), "{text}");
}
