//! What the tests of the warehouse share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::sync::Arc;

use chrono::{DateTime, Utc};
use twin_schemas::{AuthorId, Category, ContentHash, DocumentKey, MediaType, SourceKind};
use twin_sqlite::{Database, SqliteWarehouse};
use twin_warehouse::{NewSource, Observation, Warehouse};

pub struct Fixture {
    pub warehouse: Arc<dyn Warehouse>,
    pub database: Database,
    _folder: tempfile::TempDir,
}

pub async fn sqlite() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    let warehouse = Arc::new(SqliteWarehouse::open(database.clone()).await.unwrap());
    Fixture { warehouse, database, _folder: folder }
}

pub fn ada() -> AuthorId {
    "ada".parse().unwrap()
}

pub fn source() -> NewSource {
    NewSource {
        author: ada(),
        kind: SourceKind::new("folder"),
        location: "/notes".into(),
        category: None,
        interval_s: 60,
    }
}

pub fn observation(name: &str, content: &str) -> Observation {
    Observation {
        key: DocumentKey {
            source_kind: SourceKind::new("folder"),
            author: ada(),
            scope: "/notes".into(),
            identity: name.into(),
        },
        claim: None,
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
