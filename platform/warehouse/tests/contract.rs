//! What `Warehouse` promises, over every implementation.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use twin_schemas::{
    AuthorId, Category, ContentHash, DocumentId, DocumentKey, MediaType, RawDocument, Revision, SourceKind, Topic,
};
use twin_sqlite::Database;
use twin_stream::sqlite::SqliteLog;
use twin_stream::{EventLog, TopicSpec};
use twin_telemetry::Shutdown;
use twin_warehouse::sqlite::SqliteWarehouse;
use twin_warehouse::{
    DocumentFilter, LastSync, LedgerEntry, NewSource, Observation, Outbox, OutboxOptions, Progress, ProgressState,
    Recorded, StageName, SyncOutcome, Warehouse,
};

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

fn ada() -> AuthorId {
    "ada".parse().unwrap()
}

fn source() -> NewSource {
    NewSource {
        author: ada(),
        kind: SourceKind::new("folder"),
        location: "/notes".into(),
        category: None,
        interval_s: 60,
    }
}

fn observation(name: &str, content: &str) -> Observation {
    Observation {
        key: DocumentKey {
            source_kind: SourceKind::new("folder"),
            author: ada(),
            scope: "/notes".into(),
            identity: name.into(),
        },
        source_id: None,
        category: Category::Article,
        natural_key: name.into(),
        title: Some(format!("On {name}")),
        url: Some(format!("https://example.org/{name}")),
        published_at: DateTime::from_timestamp(1_700_000_000, 0),
        media_type: MediaType::Markdown,
        content: content.into(),
        content_hash: ContentHash::sha256([content.as_bytes()]),
        observed_at: Utc::now(),
    }
}

fn entry(id: DocumentId, revision: u64) -> LedgerEntry {
    LedgerEntry { document_id: id, revision: Revision(revision), chunks: 2, model: "m".into(), indexed_at: Utc::now() }
}

async fn live(warehouse: &dyn Warehouse, id: DocumentId) -> Option<u64> {
    warehouse.live_revisions(&[id]).await.unwrap().get(&id).map(|revision| revision.0)
}

#[tokio::test]
async fn a_revision_is_made_by_a_change_and_by_nothing_else() {
    let fixture = sqlite().await;
    let warehouse = &*fixture.warehouse;
    let first = observation("a.md", "one");
    let id = first.key.id();
    assert_eq!(warehouse.record(first.clone()).await.unwrap(), Recorded::Created(Revision(1)));
    assert_eq!(warehouse.record(first.clone()).await.unwrap(), Recorded::Unchanged(Revision(1)));
    assert_eq!(warehouse.record(observation("a.md", "two")).await.unwrap(), Recorded::Revised(Revision(2)));
    let row = warehouse.document(id).await.unwrap().unwrap();
    assert_eq!((row.meta.revision, row.content.as_str(), row.published), (Revision(2), "two", false));
    assert_eq!(row.meta.published_at, first.published_at);
    assert_eq!(warehouse.retract(id, Utc::now()).await.unwrap(), Some(Revision(3)));
    assert_eq!(warehouse.retract(id, Utc::now()).await.unwrap(), None);
    let row = warehouse.document(id).await.unwrap().unwrap();
    assert!(row.deleted && row.content.is_empty() && row.payload().is_none());
    assert_eq!(warehouse.record(observation("a.md", "two")).await.unwrap(), Recorded::Created(Revision(4)));
}

#[tokio::test]
async fn racing_writers_make_one_revision_each_and_none_is_lost() {
    let fixture = sqlite().await;
    let writers = (0..20).map(|number| {
        let warehouse = fixture.warehouse.clone();
        tokio::spawn(async move { warehouse.record(observation("a.md", &format!("v{number}"))).await.unwrap() })
    });
    let recorded = futures::future::join_all(writers).await;
    let mut revisions: Vec<u64> = recorded.into_iter().map(|recorded| recorded.unwrap().revision().0).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn nothing_of_a_deleted_document_is_live_until_its_re_creation_is_indexed() {
    let fixture = sqlite().await;
    let warehouse = &*fixture.warehouse;
    let id = observation("a.md", "one").key.id();
    warehouse.record(observation("a.md", "one")).await.unwrap();
    assert_eq!(live(warehouse, id).await, None);
    warehouse.mark_indexed(vec![entry(id, 1)]).await.unwrap();
    assert_eq!(live(warehouse, id).await, Some(1));

    // An edit: the old revision is served until the new one is indexed.
    warehouse.record(observation("a.md", "two")).await.unwrap();
    assert_eq!(live(warehouse, id).await, Some(1));
    warehouse.mark_indexed(vec![entry(id, 2)]).await.unwrap();
    // A late, older mark changes nothing.
    warehouse.mark_indexed(vec![entry(id, 1)]).await.unwrap();
    assert_eq!(live(warehouse, id).await, Some(2));

    warehouse.retract(id, Utc::now()).await.unwrap();
    assert_eq!(live(warehouse, id).await, None);
    // Created again before the deletion has reached the index: what is indexed is of before.
    warehouse.record(observation("a.md", "three")).await.unwrap();
    assert_eq!(live(warehouse, id).await, None);
    warehouse.mark_indexed(vec![entry(id, 3)]).await.unwrap();
    assert_eq!(live(warehouse, id).await, None);
    warehouse.mark_indexed(vec![entry(id, 4)]).await.unwrap();
    assert_eq!(live(warehouse, id).await, Some(4));
}

#[tokio::test]
async fn a_document_is_pending_until_it_is_indexed_rejected_or_dead_lettered() {
    let fixture = sqlite().await;
    let warehouse = &*fixture.warehouse;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        warehouse.record(observation(name, name)).await.unwrap();
        ids.push(observation(name, name).key.id());
    }
    let pending = || async { warehouse.totals(Some(&ada())).await.unwrap().pending };
    assert_eq!(pending().await, 3);
    let note = |id, stage, state| Progress { document_id: id, revision: Revision(1), stage, state, at: Utc::now() };
    warehouse
        .note_progress(vec![
            note(ids[0], StageName::Cleaned, ProgressState::Done),
            note(ids[1], StageName::Cleaned, ProgressState::Rejected { reason: "login".into() }),
            note(ids[2], StageName::Chunked, ProgressState::Dead { reason: "panic".into() }),
        ])
        .await
        .unwrap();
    assert_eq!(pending().await, 1);
    warehouse.mark_indexed(vec![entry(ids[0], 1)]).await.unwrap();
    assert_eq!(pending().await, 0);
    let totals = warehouse.totals(None).await.unwrap();
    assert_eq!((totals.documents, totals.searchable, totals.rejected, totals.dead), (3, 1, 1, 1));
    assert_eq!(totals.chunks, 2);
    // Replayed and indexed after all: no longer dead.
    warehouse.mark_indexed(vec![entry(ids[2], 1)]).await.unwrap();
    assert_eq!(warehouse.totals(None).await.unwrap().dead, 0);
    assert_eq!(warehouse.progress(ids[1]).await.unwrap().len(), 1);
    let other: AuthorId = "grace".parse().unwrap();
    assert_eq!(warehouse.totals(Some(&other)).await.unwrap().documents, 0);
}

#[tokio::test]
async fn documents_are_found_by_author_url_and_source() {
    let fixture = sqlite().await;
    let warehouse = &*fixture.warehouse;
    let row = warehouse.put_source(source()).await.unwrap();
    let mine = Observation { source_id: Some(row.id), ..observation("a", "a") };
    warehouse.record(mine.clone()).await.unwrap();
    warehouse.record(observation("b", "b")).await.unwrap();
    let list = |filter| async move { warehouse.documents(&filter).await.unwrap() };
    assert_eq!(list(DocumentFilter { author: Some(ada()), ..Default::default() }).await.len(), 2);
    assert_eq!(list(DocumentFilter { limit: 1, ..Default::default() }).await[0].meta.natural_key, "b");
    let by_url = DocumentFilter { url: Some("https://example.org/a".into()), ..Default::default() };
    assert_eq!(list(by_url).await[0].meta.document_id, mine.key.id());
    assert_eq!(list(DocumentFilter { source_id: Some(row.id), ..Default::default() }).await.len(), 1);
    let known = warehouse.known(row.id).await.unwrap();
    assert_eq!((known.len(), known[0].identity.as_str(), &known[0].content_hash), (1, "a", &mine.content_hash));
    warehouse.retract(mine.key.id(), Utc::now()).await.unwrap();
    assert!(warehouse.known(row.id).await.unwrap().is_empty());
    assert_eq!(warehouse.live_count(&ada()).await.unwrap(), 1);
    assert_eq!(warehouse.authors().await.unwrap().into_keys().collect::<Vec<_>>(), [ada()]);
    assert_eq!(list(DocumentFilter::default()).await.len(), 1);
    assert_eq!(list(DocumentFilter { with_deleted: true, ..Default::default() }).await.len(), 2);
}

#[tokio::test]
async fn a_sync_asked_for_while_one_runs_still_comes_with_its_confirmation() {
    let fixture = sqlite().await;
    let warehouse = &*fixture.warehouse;
    let row = warehouse.put_source(source()).await.unwrap();
    assert!(row.next_run_at <= Utc::now(), "a new source is due at once");
    assert_eq!(warehouse.put_source(source()).await.unwrap().id, row.id);
    let sync = |started_at| LastSync {
        started_at,
        finished_at: Utc::now(),
        outcome: SyncOutcome::Completed,
        seen: 1,
        new: 1,
        changed: 0,
        deleted: 0,
        failed: Vec::new(),
        failed_total: 0,
    };
    let later = Utc::now() + Duration::hours(1);
    let started = Utc::now();
    warehouse.finish_sync(row.id, sync(started), serde_json::json!({"etag": "x"}), later).await.unwrap();
    let row = warehouse.source(row.id).await.unwrap().unwrap();
    assert_eq!(row.cursor["etag"], "x");
    assert_eq!(row.last_sync.as_ref().unwrap().seen, 1);
    assert!((row.next_run_at - later).num_milliseconds().abs() < 2);

    let started = Utc::now();
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    assert!(warehouse.request_sync(row.id, true).await.unwrap());
    warehouse.finish_sync(row.id, sync(started), serde_json::Value::Null, later).await.unwrap();
    let row = warehouse.source(row.id).await.unwrap().unwrap();
    assert!(row.next_run_at <= Utc::now() && row.deletions_confirmed, "the request is not swallowed");
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    warehouse.finish_sync(row.id, sync(Utc::now()), serde_json::Value::Null, later).await.unwrap();
    let row = warehouse.source(row.id).await.unwrap().unwrap();
    assert!(row.next_run_at > Utc::now() && !row.deletions_confirmed, "a confirmation is good for one sync");
    let sooner = Utc::now() + Duration::minutes(1);
    warehouse.finish_sync(row.id, sync(Utc::now()), serde_json::Value::Null, sooner).await.unwrap();
    let row = warehouse.source(row.id).await.unwrap().unwrap();
    assert!((row.next_run_at - sooner).num_milliseconds().abs() < 2, "a plan of before the clock was put back goes");
    assert!(warehouse.remove_source(row.id).await.unwrap());
    assert!(!warehouse.request_sync(row.id, false).await.unwrap());
}

#[tokio::test]
async fn the_outbox_publishes_each_revision_though_it_is_cut_off_between_log_and_mark() {
    let fixture = sqlite().await;
    let warehouse = fixture.warehouse.clone();
    let log: Arc<dyn EventLog> = Arc::new(SqliteLog::open(fixture.database.clone(), 100_000).await.unwrap());
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    let id = observation("a", "one").key.id();
    warehouse.record(observation("a", "one")).await.unwrap();
    let outbox = Outbox::new(OutboxOptions::default(), warehouse.clone(), log.clone());
    assert_eq!(outbox.publish_some().await.unwrap(), 1);
    assert_eq!(outbox.publish_some().await.unwrap(), 0);

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
    let running =
        tokio::spawn(Outbox::new(OutboxOptions::default(), warehouse.clone(), log.clone()).run(shutdown.signal()));
    while !warehouse.unpublished(1).await.unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    shutdown.begin();
    running.await.unwrap();
    let partition = twin_stream::TopicPartition { topic: Topic::DocumentsRaw.name().into(), partition: 0 };
    let mut tail = log.tail(&partition, twin_stream::StartAt::Beginning).await.unwrap();
    let records = tail.next().await.unwrap();
    let revisions: Vec<_> = records
        .iter()
        .map(|record| twin_schemas::Attributes::from_headers(&record.headers).unwrap().revision.unwrap().0)
        .collect();
    assert_eq!(revisions, [1, 2, 3]);
    assert_eq!(records[2].value, None, "a deletion is a tombstone");
}
