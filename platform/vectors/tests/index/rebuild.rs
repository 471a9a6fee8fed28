//! Vectors of another model beside those that are searched.

use std::sync::Arc;

use twin_schemas::Revision;
use twin_sqlite::{Database, Rebuild, SqliteVectors};
use twin_vectors::{Error, Filter, VectorIndex};

use crate::support::{at, author, document, found, model, point, request};

fn open(folder: &tempfile::TempDir) -> Database {
    Database::open(&folder.path().join("twin.db")).unwrap()
}

async fn old_index(database: &Database) -> SqliteVectors {
    SqliteVectors::open(database.clone(), model("old@1", 3)).await.unwrap()
}

/// The new model's vector of a text: of another length, and elsewhere than the old one's.
fn new_vector(text: &str) -> Vec<f32> {
    if text.contains("zebra") { vec![1.0, 0.0] } else { vec![0.0, 1.0] }
}

/// Embeds everything that lacks a vector; gives the texts.
async fn embed_all(rebuild: &Rebuild) -> Vec<String> {
    let mut texts = Vec::new();
    let mut last = None;
    loop {
        // Less than there are: the place behind the last one matters.
        let chunks = rebuild.lacking(last.as_ref(), 2).await.unwrap();
        let Some(newest) = chunks.last().cloned() else { return texts };
        last = Some(newest);
        texts.extend(chunks.iter().map(|chunk| chunk.text.clone()));
        let vectors = chunks.into_iter().map(|chunk| (chunk.clone(), new_vector(&chunk.text)));
        rebuild.put(vectors.collect()).await.unwrap();
    }
}

fn other_model(error: &Error) -> bool {
    matches!(error, Error::OtherModel { .. })
}

#[tokio::test]
async fn the_old_vectors_are_searched_until_every_chunk_has_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    let old = old_index(&database).await;
    let points = (0..5).map(|ordinal| point("ada", 1, 1, ordinal, &format!("text {ordinal}"), at(10.0)));
    old.upsert(points.collect()).await.unwrap();
    let rebuild = Rebuild::begin(database.clone(), model("new@1", 2)).await.unwrap().unwrap();
    assert!(!rebuild.switch().await.unwrap(), "nothing has a vector yet");
    assert_eq!(embed_all(&rebuild).await.len(), 5);

    // Written after the builder came by: one more, and one that takes the number of a deleted one.
    old.upsert(vec![point("ada", 2, 1, 0, "zebra", at(10.0))]).await.unwrap();
    old.upsert(vec![point("ada", 1, 1, 4, "text 4 zebra", at(10.0))]).await.unwrap();
    assert!(!rebuild.switch().await.unwrap(), "two have none");
    assert_eq!(found(&old, request(Filter::author(author("ada")), at(10.0), "")).await.len(), 6);
    let mut late = embed_all(&rebuild).await;
    late.sort_unstable();
    assert_eq!(late, ["text 4 zebra", "zebra"], "the others keep theirs");
    assert_eq!(rebuild.progress().await.unwrap(), (6, 6));
    assert!(rebuild.switch().await.unwrap());

    let (renewed_model, new) = old.renewed().await.unwrap();
    assert_eq!(renewed_model, model("new@1", 2));
    let hits = new.search(request(Filter::author(author("ada")), vec![1.0, 0.0], "")).await.unwrap();
    assert_eq!(hits.len(), 6);
    for hit in hits {
        let is_near = hit.similarity > 0.99;
        assert_eq!(is_near, hit.text.contains("zebra"), "{hit:?}");
    }
}

#[tokio::test]
async fn after_the_switch_a_handle_for_the_old_model_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    let old: Arc<dyn VectorIndex> = Arc::new(old_index(&database).await);
    old.upsert(vec![point("ada", 1, 1, 0, "text", at(0.0))]).await.unwrap();
    let rebuild = Rebuild::begin(database.clone(), model("new@1", 2)).await.unwrap().unwrap();
    embed_all(&rebuild).await;
    assert!(rebuild.switch().await.unwrap());

    let search = request(Filter::author(author("ada")), at(0.0), "text");
    assert!(other_model(&old.search(search).await.unwrap_err()));
    assert!(other_model(&old.upsert(vec![point("ada", 2, 1, 0, "late", at(0.0))]).await.unwrap_err()));
    assert!(other_model(&old.delete_below(&[(document(1), Revision(9))]).await.unwrap_err()));
    assert!(other_model(&old.vectors_of(&[document(1)]).await.unwrap_err()));
    let (_, new) = old.renewed().await.unwrap();
    assert_eq!(found(&*new, request(Filter::author(author("ada")), vec![0.0, 1.0], "text")).await, [(1, 1, 0)]);
    assert_eq!(new.vectors_of(&[document(1)]).await.unwrap()[0].vector, [0.0, 1.0]);
    let error = SqliteVectors::open(database, model("old@1", 3)).await.err().unwrap();
    assert!(other_model(&error), "{error}");
}

#[tokio::test]
async fn what_a_killed_builder_has_done_is_kept_for_its_model_alone() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    let old = old_index(&database).await;
    let points = (0..3).map(|ordinal| point("ada", 1, 1, ordinal, &format!("text {ordinal}"), at(10.0)));
    old.upsert(points.collect()).await.unwrap();
    let begin = |id: &'static str, dimension| Rebuild::begin(database.clone(), model(id, dimension));
    let killed = begin("new@1", 2).await.unwrap().unwrap();
    let first = killed.lacking(None, 1).await.unwrap().remove(0);
    killed.put(vec![(first, vec![0.0, 1.0])]).await.unwrap();
    drop(killed);

    assert_eq!(begin("new@1", 2).await.unwrap().unwrap().progress().await.unwrap(), (1, 3));
    assert_eq!(begin("third@1", 4).await.unwrap().unwrap().progress().await.unwrap(), (0, 3));
    assert!(begin("old@1", 3).await.unwrap().is_none(), "the index is of this one: nothing to do");
    assert_eq!(begin("new@1", 2).await.unwrap().unwrap().progress().await.unwrap(), (0, 3), "it was given up above");
}

#[tokio::test]
async fn a_vector_comes_too_late_for_a_chunk_that_is_gone_or_another_by_now() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    let old = old_index(&database).await;
    old.upsert(vec![point("ada", 1, 1, 0, "before", at(10.0))]).await.unwrap();
    let rebuild = Rebuild::begin(database.clone(), model("new@1", 2)).await.unwrap().unwrap();
    let before = rebuild.lacking(None, 9).await.unwrap().remove(0);
    // The new chunk gets the number of the old one.
    old.delete_below(&[(document(1), Revision(2))]).await.unwrap();
    old.upsert(vec![point("ada", 1, 2, 0, "after", at(10.0))]).await.unwrap();
    rebuild.put(vec![(before, vec![1.0, 0.0])]).await.unwrap();
    assert_eq!(rebuild.progress().await.unwrap(), (0, 1));
    let wrong = rebuild.lacking(None, 9).await.unwrap().remove(0);
    let error = rebuild.put(vec![(wrong, vec![1.0, 0.0, 0.0])]).await.unwrap_err();
    assert!(matches!(error, Error::Dimension { found: 3, wanted: 2 }), "{error}");
}

#[tokio::test]
async fn there_is_nothing_to_rebuild_where_there_is_no_index() {
    let folder = tempfile::tempdir().unwrap();
    let error = Rebuild::begin(open(&folder), model("new@1", 2)).await.err().unwrap();
    assert!(matches!(error, Error::NoIndex), "{error}");
}

/// The tables of the first version of the schema, with a chunk in them.
const FIRST_VERSION: &str = "
CREATE TABLE schema_versions (component TEXT PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO schema_versions VALUES ('vectors', 1);
CREATE TABLE vector_index (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), model TEXT NOT NULL, dimension INTEGER NOT NULL
);
INSERT INTO vector_index VALUES (1, 'old@1', 3);
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
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    database.write::<_, twin_sqlite::Error, _>(|tx| Ok(tx.execute_batch(FIRST_VERSION)?)).await.unwrap();
    let index = old_index(&database).await;
    let ada = || Filter::author(author("ada"));
    assert_eq!(found(&index, request(ada(), at(0.0), "rivers")).await, [(1, 1, 0)]);
    index.upsert(vec![point("ada", 1, 1, 0, "the same chunk again", at(0.0))]).await.unwrap();
    assert_eq!(found(&index, request(ada(), at(0.0), "rivers again")).await, [(1, 1, 0)]);
    let rebuild = Rebuild::begin(database, model("new@1", 2)).await.unwrap().unwrap();
    assert_eq!(embed_all(&rebuild).await, ["the same chunk again"]);
    assert!(rebuild.switch().await.unwrap());
}
