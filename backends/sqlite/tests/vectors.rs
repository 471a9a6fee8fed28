//! What the vector index promises, over SQLite, and what is SQLite's own.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use twin_schemas::Revision;
use twin_sqlite::{Database, Error, SqliteVectors};
use twin_vectors::testing::Place;
use twin_vectors::testing::fixtures::{ada, at, document, found, model, point, request};
use twin_vectors::{Coverage, Phase, VectorStore, vector_contract};

struct File {
    folder: tempfile::TempDir,
}

impl File {
    fn path(&self) -> PathBuf {
        self.folder.path().join("twin.db")
    }

    /// Runs SQL before any index is opened.
    async fn with(sql: &'static str) -> Self {
        let file = open().await;
        let database = Database::open(&file.path()).unwrap();
        database.write::<_, Error, _>(move |tx| Ok(tx.execute_batch(sql)?)).await.unwrap();
        file
    }

    fn tables(&self) -> Vec<String> {
        let database = Database::open(&self.path()).unwrap();
        let names = |c: &Connection| -> Result<Vec<String>, Error> {
            let sql =
                "SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE chunk_vectors%' ORDER BY name";
            let mut statement = c.prepare(sql)?;
            let names = statement.query_map([], |row| row.get(0))?;
            Ok(names.collect::<Result<_, _>>()?)
        };
        database.read_blocking(names).unwrap()
    }
}

#[async_trait]
impl Place for File {
    async fn process(&self) -> Arc<dyn VectorStore> {
        let database = Database::open(&self.path()).unwrap();
        Arc::new(SqliteVectors::open(database).await.unwrap())
    }
}

async fn open() -> File {
    File { folder: tempfile::tempdir().unwrap() }
}

vector_contract!(open);

#[tokio::test]
async fn vectors_that_nobody_searches_any_more_leave_the_file() {
    let file = open().await;
    let store = file.process().await;
    let index = store.open(&model("first", 3)).await.unwrap();
    index.upsert(vec![point("ada", 1, 1, 0, "text", at(0.0))]).await.unwrap();
    store.prepare(&model("second", 2)).await.unwrap();
    let third = store.prepare(&model("third", 2)).await.unwrap().unwrap();
    assert_eq!(file.tables(), ["chunk_vectors", "chunk_vectors_3"]);
    let pending = store.pending(&third, None, 9).await.unwrap();
    store.fill(&third, pending.into_iter().map(|chunk| (chunk, vec![1.0, 0.0])).collect()).await.unwrap();
    assert!(store.switch(&third).await.unwrap());
    store.drain().await.unwrap();
    assert_eq!(file.tables(), ["chunk_vectors_3"]);
}

/// The tables of the first version of the schema, with a chunk in them.
const FIRST_VERSION: &str = "
CREATE TABLE schema_versions (component TEXT PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO schema_versions VALUES ('vectors', 1);
CREATE TABLE vector_index (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), model TEXT NOT NULL, dimension INTEGER NOT NULL
);
INSERT INTO vector_index VALUES (1, 'renamed@first', 3);
CREATE TABLE chunks (
    chunk_id INTEGER PRIMARY KEY, point_id BLOB NOT NULL UNIQUE, document_id TEXT NOT NULL, revision INTEGER NOT NULL,
    ordinal INTEGER NOT NULL, author TEXT NOT NULL, category TEXT NOT NULL, source_kind TEXT NOT NULL,
    natural_key TEXT NOT NULL, title TEXT, url TEXT, published_at INTEGER, heading_path TEXT NOT NULL,
    text TEXT NOT NULL, span_start INTEGER NOT NULL, span_end INTEGER NOT NULL, token_count INTEGER NOT NULL,
    content_hash TEXT NOT NULL
);
CREATE INDEX chunks_document ON chunks (document_id, revision);
CREATE VIRTUAL TABLE chunk_words USING fts5(
    title, headings, text, content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE chunk_vectors USING vec0(
    chunk_id integer primary key, author text partition key, category text, source_kind text, published_at integer,
    embedding float[3] distance_metric=cosine
);
INSERT INTO chunks VALUES (7, x'00', '00000000-0000-0000-0000-000000000001', 1, 0, 'ada', 'article', 'folder', 'a.md',
    NULL, NULL, NULL, '[]', 'rivers', 0, 6, 1, 'sha256:0');
INSERT INTO chunk_words (rowid, title, headings, text) VALUES (7, NULL, '', 'rivers');
INSERT INTO chunk_vectors VALUES (7, 'ada', 'article', 'folder', 0, '[1.0, 0.0, 0.0]');
";

#[tokio::test]
async fn an_index_of_the_first_version_of_the_schema_is_taken_over() {
    let file = File::with(FIRST_VERSION).await;
    let store = file.process().await;
    let index = store.open(&model("first", 3)).await.unwrap();
    assert_eq!(found(&*index, request(ada(), at(0.0), "rivers")).await, [(1, 1, 0)]);
    index.upsert(vec![point("ada", 1, 1, 0, "the same chunk again", at(0.0))]).await.unwrap();
    assert_eq!(found(&*index, request(ada(), at(0.0), "rivers again")).await, [(1, 1, 0)]);
    let building = store.prepare(&model("second", 2)).await.unwrap().unwrap();
    let pending = store.pending(&building, None, 9).await.unwrap();
    assert_eq!(pending.iter().map(|chunk| chunk.text.as_str()).collect::<Vec<_>>(), ["the same chunk again"]);
    store.fill(&building, pending.into_iter().map(|chunk| (chunk, vec![1.0, 0.0])).collect()).await.unwrap();
    assert!(store.switch(&building).await.unwrap());
}

/// The tables of the second version, with two chunks, and vectors of a second model for one of them.
const SECOND_VERSION: &str = "
CREATE TABLE schema_versions (component TEXT PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO schema_versions VALUES ('vectors', 2);
CREATE TABLE generations (
    generation INTEGER PRIMARY KEY, model TEXT NOT NULL, dimension INTEGER NOT NULL, settings TEXT NOT NULL,
    vector_table TEXT NOT NULL, active INTEGER NOT NULL
);
CREATE UNIQUE INDEX generations_active ON generations (active);
INSERT INTO generations VALUES (3, 'renamed@first', 3, '{}', 'chunk_vectors_3', 1);
INSERT INTO generations VALUES (4, 'second@second', 2, '{}', 'chunk_vectors_4', 0);
CREATE TABLE chunks (
    chunk_id INTEGER PRIMARY KEY, document_id TEXT NOT NULL, revision INTEGER NOT NULL, ordinal INTEGER NOT NULL,
    author TEXT NOT NULL, category TEXT NOT NULL, source_kind TEXT NOT NULL, natural_key TEXT NOT NULL, title TEXT,
    url TEXT, published_at INTEGER, heading_path TEXT NOT NULL, text TEXT NOT NULL, span_start INTEGER NOT NULL,
    span_end INTEGER NOT NULL, token_count INTEGER NOT NULL, content_hash TEXT NOT NULL,
    UNIQUE (document_id, revision, ordinal)
);
CREATE VIRTUAL TABLE chunk_words USING fts5(
    title, headings, text, content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE chunk_vectors_3 USING vec0(
    chunk_id integer primary key, author text partition key, category text, source_kind text, published_at integer,
    embedding float[3] distance_metric=cosine
);
CREATE VIRTUAL TABLE chunk_vectors_4 USING vec0(
    chunk_id integer primary key, author text partition key, category text, source_kind text, published_at integer,
    embedding float[2] distance_metric=cosine
);
INSERT INTO chunks VALUES (7, '00000000-0000-0000-0000-000000000001', 1, 0, 'ada', 'article', 'folder', 'a.md',
    NULL, NULL, NULL, '[]', 'rivers', 0, 6, 1, 'sha256:0');
INSERT INTO chunks VALUES (8, '00000000-0000-0000-0000-000000000002', 1, 0, 'ada', 'article', 'folder', 'b.md',
    NULL, NULL, NULL, '[]', 'hills', 0, 5, 1, 'sha256:1');
INSERT INTO chunk_words (rowid, title, headings, text) VALUES (7, NULL, '', 'rivers'), (8, NULL, '', 'hills');
INSERT INTO chunk_vectors_3 VALUES (7, 'ada', 'article', 'folder', 0, '[1.0, 0.0, 0.0]');
INSERT INTO chunk_vectors_3 VALUES (8, 'ada', 'article', 'folder', 0, '[0.0, 1.0, 0.0]');
INSERT INTO chunk_vectors_4 VALUES (7, 'ada', 'article', 'folder', 0, '[1.0, 0.0]');
";

#[tokio::test]
async fn an_index_of_the_second_version_is_taken_over_with_what_a_builder_has_done() {
    let file = File::with(SECOND_VERSION).await;
    let store = file.process().await;
    let index = store.open(&model("first", 3)).await.unwrap();
    assert_eq!(found(&*index, request(ada(), at(0.0), "rivers")).await, [(1, 1, 0), (2, 1, 0)]);
    let building = store.prepare(&model("second", 2)).await.unwrap().unwrap();
    assert_eq!(building.number, 4);
    assert_eq!(store.coverage(&building).await.unwrap(), Coverage { filled: 1, chunks: 2 });
    index.delete_below(&[(document(2), Revision(2))]).await.unwrap();
    assert!(store.switch(&building).await.unwrap());
    store.drain().await.unwrap();
    let generations = store.generations().await.unwrap().unwrap();
    assert_eq!((generations.phase, generations.last_number), (Phase::Serving, 4));
    assert_eq!(file.tables(), ["chunk_vectors_4"]);
    let index = index.renewed().await.unwrap();
    assert_eq!(found(&*index, request(ada(), vec![1.0, 0.0], "")).await, [(1, 1, 0)]);
}
