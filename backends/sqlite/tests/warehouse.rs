//! What `Warehouse` promises, over SQLite, and what is SQLite's own: databases of earlier versions.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use rusqlite::{Connection, params};
use twin_schemas::SourceId;
use twin_sqlite::{Database, SqliteWarehouse};
use twin_warehouse::testing::{Store, ada, observation, source};
use twin_warehouse::{
    Authors, DocumentFilter, DocumentRow, Documents, LastSync, NewSource, ProgressNotes, Sources, SyncOutcome,
    Unpublished, Warehouse, warehouse_contract,
};

struct File {
    folder: tempfile::TempDir,
}

#[async_trait]
impl Store for File {
    async fn process(&self) -> Arc<dyn Warehouse> {
        let database = Database::open(&self.folder.path().join("twin.db")).unwrap();
        Arc::new(SqliteWarehouse::open(database).await.unwrap())
    }
}

async fn open() -> File {
    File { folder: tempfile::tempdir().unwrap() }
}

warehouse_contract!(open);

fn sync() -> LastSync {
    LastSync {
        started_at: Utc::now(),
        finished_at: Utc::now(),
        outcome: SyncOutcome::Completed,
        seen: 1,
        new: 1,
        changed: 0,
        deleted: 0,
        failed: Vec::new(),
        failed_total: 0,
        waited_ms: 0,
    }
}

/// What the tables were before sources were claimed.
const BEFORE: &str = include_str!("warehouse/tables_before_claims.sql");

#[tokio::test]
async fn a_database_of_before_claims_is_migrated_with_its_sources() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    let source = |location: &str| NewSource { location: location.into(), ..source() };
    let id = move |location: &str| SourceId::of(&ada(), &source(location).kind, location);
    let rows = [("/confirmed", true, "2020-01-01T00:00:00.000000Z"), ("/later", false, "2999-01-01T00:00:00.000000Z")];
    let insert = move |tx: &Connection| -> Result<(), twin_sqlite::Error> {
        twin_sqlite::migrate(tx, "warehouse", &[BEFORE])?;
        for (location, confirmed, next_run_at) in rows {
            let last_sync = serde_json::to_string(&sync()).unwrap();
            tx.execute(
                "INSERT INTO sources VALUES (?1, 'ada', 'folder', ?2, NULL, 60, '2020-01-01T00:00:00.000000Z', '{\"a\": 1}',
                     ?3, ?4, ?5)",
                params![id(location).to_string(), location, last_sync, next_run_at, confirmed],
            )?;
        }
        Ok(())
    };
    database.write(insert).await.unwrap();
    let warehouse = SqliteWarehouse::open(database).await.unwrap();
    let rows = warehouse.sources(None, None, 9).await.unwrap().items;
    let shown: Vec<_> = rows.iter().map(|row| (row.source.location.as_str(), row.deletions_confirmed)).collect();
    assert_eq!(shown, [("/confirmed", true), ("/later", false)]);
    assert!(rows.iter().all(|row| row.cursor["a"] == 1 && row.last_sync.as_ref().unwrap().seen == 1));
    assert_eq!(warehouse.due_sources(Utc::now(), 10).await.unwrap(), [id("/confirmed")]);
    // Seen from a day before its last sync: the clock was put back.
    let day_before = Utc::now() - Duration::days(1);
    assert_eq!(warehouse.due_sources(day_before, 10).await.unwrap(), [id("/confirmed"), id("/later")]);
    let (claim, _) = warehouse.claim_source(id("/confirmed"), 1, Utc::now()).await.unwrap().unwrap();
    assert!(warehouse.finish_sync(&claim, sync(), serde_json::json!({}), Utc::now()).await.unwrap());
    assert!(!warehouse.source(id("/confirmed")).await.unwrap().unwrap().deletions_confirmed);
}

#[tokio::test]
async fn documents_of_before_keep_their_order_behind_those_that_change_now() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    let before = |tx: &Connection| -> Result<(), twin_sqlite::Error> {
        twin_sqlite::migrate(tx, "warehouse", &[BEFORE])?;
        for (change, name) in ["a", "b", "c"].into_iter().enumerate() {
            let seen = observation(name, name);
            tx.execute(
                "INSERT INTO documents (document_id, revision, deleted, published, change, author, category, source_kind,
                                        scope, identity, natural_key, observed_at, content_hash, media_type, content)
                 VALUES (?1, 1, ?2, 0, ?3, 'ada', 'article', 'folder', '/notes', ?4, ?4, '2020-01-01T00:00:00.000000Z',
                         ?5, 'markdown', ?4)",
                params![seen.key.id().to_string(), name == "b", change as i64 + 1, name, seen.content_hash.as_str()],
            )?;
        }
        Ok(())
    };
    database.write(before).await.unwrap();
    let warehouse = SqliteWarehouse::open(database).await.unwrap();
    warehouse.record(observation("d", "d")).await.unwrap();
    let keys = |rows: &[DocumentRow]| rows.iter().map(|row| row.meta.natural_key.clone()).collect::<Vec<_>>();
    let first = warehouse.documents(&DocumentFilter::default(), None, 2).await.unwrap();
    assert_eq!(keys(&first.items), ["d", "c"]);
    let rest = warehouse.documents(&DocumentFilter::default(), first.next.as_ref(), 2).await.unwrap();
    assert_eq!((keys(&rest.items), rest.next), (vec!["a".to_owned()], None));
    assert_eq!(keys(&warehouse.unpublished(9).await.unwrap()), ["a", "b", "c", "d"]);
    let author = warehouse.author(&ada()).await.unwrap().unwrap();
    assert_eq!(author.first_seen_at, "2020-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap());
    assert_eq!(warehouse.totals(Some(&ada())).await.unwrap(), warehouse.totals(None).await.unwrap());
}
