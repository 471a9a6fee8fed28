//! What the registry's `Store` promises, over SQLite.

use std::sync::Arc;

use twin_registry::{Store, store_contract};
use twin_sqlite::{Database, SqliteRegistry};

struct Place {
    store: SqliteRegistry,
    _folder: tempfile::TempDir,
}

impl Place {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }
}

async fn open() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    Place { store: SqliteRegistry::open(database).await.unwrap(), _folder: folder }
}

store_contract!(open);
