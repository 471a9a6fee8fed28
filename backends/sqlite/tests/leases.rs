//! What `Leases` promises, over SQLite, and what is SQLite's own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use twin_coordination::testing::Store;
use twin_coordination::{Leases, Owner, lease_contract};
use twin_sqlite::{Database, Error, SqliteLeases};

struct File {
    folder: tempfile::TempDir,
}

impl File {
    fn path(&self) -> PathBuf {
        self.folder.path().join("twin.db")
    }
}

#[async_trait]
impl Store for File {
    async fn process(&self) -> Arc<dyn Leases> {
        let database = Database::open(&self.path()).unwrap();
        Arc::new(SqliteLeases::open(database).await.unwrap())
    }
}

async fn open() -> File {
    File { folder: tempfile::tempdir().unwrap() }
}

lease_contract!(open);

#[tokio::test]
async fn asking_for_what_another_holds_writes_nothing() {
    let file = open().await;
    let (one, other) = (file.process().await, file.process().await);
    let ttl = Duration::from_secs(60);
    let lease = one.acquire("outbox", &Owner::new("a"), ttl).await.unwrap().unwrap();
    let reader = Database::open(&file.path()).unwrap();
    // Changes when another connection has committed.
    let version = || reader.read_blocking(|c| Ok::<i64, Error>(c.query_row("PRAGMA data_version", [], |r| r.get(0))?));
    let before = version().unwrap();
    for _ in 0..10 {
        assert_eq!(other.acquire("outbox", &Owner::new("b"), ttl).await.unwrap(), None);
        assert_eq!(other.holders("").await.unwrap().len(), 1);
    }
    assert_eq!(version().unwrap(), before);
    assert!(one.renew(&lease, ttl).await.unwrap());
    assert_ne!(version().unwrap(), before);
}
