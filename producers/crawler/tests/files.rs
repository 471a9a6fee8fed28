//! Files that were uploaded, over the real warehouse and artifact store.

mod common;

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::sync::Arc;

use chrono::Utc;
use common::new_source;
use tempfile::{TempDir, tempdir};
use twin_artifacts::Artifacts;
use twin_crawler::{Options, Sources, Syncer};
use twin_schemas::{Category, Revision, SourceKind};
use twin_sqlite::{Database, SqliteWarehouse};
use twin_warehouse::{DocumentFilter, LastSync, SourceRow, SyncOutcome, UploadedFile, Warehouse};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

struct Setup {
    data: TempDir,
    options: Options,
    artifacts: Artifacts,
    warehouse: Arc<dyn Warehouse>,
    source: SourceRow,
    syncs: u64,
}

impl Setup {
    async fn new() -> Self {
        let data = tempdir().unwrap();
        let database = Database::open(&data.path().join("twin.db")).unwrap();
        let warehouse: Arc<dyn Warehouse> = Arc::new(SqliteWarehouse::open(database).await.unwrap());
        let artifacts = Artifacts::in_folder(&data.path().join("artifacts")).unwrap();
        let source = new_source("ada".parse().unwrap(), SourceKind::new("files"), "files:notes", 60);
        let source = warehouse.put_source(source).await.unwrap();
        Self { data, options: Options::default(), artifacts, warehouse, source, syncs: 0 }
    }

    fn sources(&self) -> Sources {
        let sources = Sources::new(&self.options).unwrap();
        sources.with_uploads(&self.options, self.artifacts.clone(), self.data.path().join("uploads"))
    }

    async fn upload(&self, name: &str, content: impl Into<Vec<u8>>) {
        let content = content.into();
        let bytes = content.len() as u64;
        let artifact = self.artifacts.put(content).await.unwrap();
        let (source_id, name) = (self.source.id, name.to_owned());
        let file = UploadedFile { source_id, name, artifact, bytes, uploaded_at: Utc::now() };
        self.warehouse.put_file(file, 9).await.unwrap();
    }

    async fn sync(&mut self) -> LastSync {
        self.syncs += 1;
        let (claim, row) = self.warehouse.claim_source(self.source.id, self.syncs, Utc::now()).await.unwrap().unwrap();
        let synced =
            Syncer::new(&self.options, self.sources(), self.warehouse.clone()).sync(&row, &claim).await.unwrap();
        let sync = synced.sync.clone();
        assert!(self.warehouse.finish_sync(&claim, synced.sync, synced.cursor, row.next_run_at).await.unwrap());
        sync
    }

    /// Titles by natural key.
    async fn live(&self) -> BTreeMap<String, String> {
        let documents = self.warehouse.documents(&DocumentFilter::default(), None, 1000).await.unwrap().items;
        documents.into_iter().map(|row| (row.meta.natural_key, row.meta.title.unwrap_or_default())).collect()
    }
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        archive.start_file(*name, options).unwrap();
        archive.write_all(content.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn counts(sync: &LastSync) -> (u64, u64, u64, u64, u64) {
    (sync.seen, sync.new, sync.changed, sync.deleted, sync.failed_total)
}

#[tokio::test]
async fn each_file_alone_or_in_an_archive_is_a_document_and_replacing_one_updates_and_deletes() {
    let mut setup = Setup::new().await;
    setup.upload("engines.md", "---\ndate: 2025-01-31\n---\n# On engines\nText.").await;
    let posts = [
        ("blog/a.md", "# A"),
        ("blog/b.html", "<title>B</title><p>b</p>"),
        ("blog/draft.md", "---\ndraft: true\n---\n"),
    ];
    setup.upload("export.zip", archive(&[&posts[..], &[("blog/a.png", "x"), (".git/config.md", "x")]].concat())).await;
    assert_eq!(counts(&setup.sync().await), (3, 3, 0, 0, 0));
    let titles = |titles: &[(&str, &str)]| -> BTreeMap<String, String> {
        titles.iter().map(|(key, title)| ((*key).to_owned(), (*title).to_owned())).collect()
    };
    let all = titles(&[("engines.md", "On engines"), ("export.zip/blog/a.md", "A"), ("export.zip/blog/b.html", "B")]);
    assert_eq!(setup.live().await, all);
    let known = setup.warehouse.known(setup.source.id, None, 9).await.unwrap().items;
    let row = setup.warehouse.document(known[0].document_id).await.unwrap().unwrap();
    assert_eq!((row.meta.category, row.meta.revision), (Category::Article, Revision(1)));

    assert_eq!(counts(&setup.sync().await), (3, 0, 0, 0, 0), "as it was");
    setup.upload("export.zip", archive(&[("blog/a.md", "# A, edited"), ("blog/c.txt", "c")])).await;
    assert_eq!(counts(&setup.sync().await), (3, 1, 1, 1, 0));
    assert!(setup.warehouse.remove_file(setup.source.id, "engines.md").await.unwrap());
    assert_eq!(counts(&setup.sync().await), (2, 0, 0, 1, 0));
    assert_eq!(setup.live().await, titles(&[("export.zip/blog/a.md", "A, edited"), ("export.zip/blog/c.txt", "c")]));
    assert_eq!(std::fs::read_dir(setup.data.path().join("uploads")).unwrap().count(), 0, "nothing is left there");
}

#[tokio::test]
async fn an_upload_that_lacks_much_meets_the_brake_until_somebody_confirms() {
    let mut setup = Setup::new().await;
    let names: Vec<String> = (0..10).map(|number| format!("{number}.md")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "text")).collect();
    setup.upload("a.zip", archive(&files)).await;
    assert_eq!(counts(&setup.sync().await), (10, 10, 0, 0, 0));
    setup.upload("a.zip", archive(&files[..4])).await;
    for _ in 0..2 {
        let sync = setup.sync().await;
        assert_eq!(
            sync.outcome,
            SyncOutcome::AwaitingConfirmation { deletions: 6 },
            "though nothing has changed since"
        );
    }
    assert!(setup.warehouse.request_sync(setup.source.id, true).await.unwrap());
    assert_eq!(counts(&setup.sync().await), (4, 0, 0, 6, 0));
}

#[tokio::test]
async fn an_archive_that_is_refused_or_lost_deletes_nothing_and_the_other_files_are_read() {
    let mut setup = Setup::new().await;
    setup.upload("a.zip", archive(&[("one.md", "1"), ("two.md", "2")])).await;
    setup.sync().await;
    setup.upload("a.zip", archive(&[("one.md", "1"), ("../two.md", "2")])).await;
    setup.upload("b.md", "new").await;
    for _ in 0..2 {
        let sync = setup.sync().await;
        assert_eq!((sync.failed_total, sync.deleted), (1, 0), "and it is looked at again");
        assert_eq!(sync.failed[0].natural_key, "a.zip");
        assert!(sync.failed[0].reason.contains("../two.md"), "{sync:?}");
    }
    assert_eq!(setup.live().await.len(), 3);

    // The store has lost it: the sync as a whole fails.
    let (source_id, name) = (setup.source.id, "c.md".to_owned());
    let artifact = format!("sha256:{}", "0".repeat(64));
    let lost = UploadedFile { source_id, name, artifact, bytes: 1, uploaded_at: Utc::now() };
    setup.warehouse.put_file(lost, 9).await.unwrap();
    let sync = setup.sync().await;
    assert!(matches!(sync.outcome, SyncOutcome::Failed { .. }), "{sync:?}");
    assert_eq!(setup.live().await.len(), 3);
}

#[tokio::test]
async fn names_of_sources_and_of_files_are_checked() {
    let setup = Setup::new().await;
    let sources = setup.sources();
    for (kind, location) in [(None, "files:notes"), (Some("files"), "notes"), (Some("files"), "files:notes")] {
        assert_eq!(sources.resolve(kind, location).unwrap(), (SourceKind::new("files"), "files:notes".to_owned()));
    }
    for location in ["files:", "files:a/b", "files:../x", "/home/ada/notes"] {
        assert!(sources.resolve(Some("files"), location).is_err(), "{location}");
    }
    let files = SourceKind::new("files");
    for name in ["a.md", "A b.HTML", "notes.txt", "export.ZIP"] {
        assert_eq!(sources.check_file(&files, name), Ok(()), "{name}");
    }
    for name in ["", "a.png", "../a.md", "a/b.md", ".hidden.md", "a\nb.md", "zip"] {
        assert!(sources.check_file(&files, name).is_err(), "{name}");
    }
    assert!(sources.check_file(&SourceKind::new("folder"), "a.md").unwrap_err().contains("kind files"));
}
