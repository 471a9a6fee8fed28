use twin_sqlite::rusqlite::{Connection, OptionalExtension, params};
use twin_sqlite::{Migration, migrate};

use crate::Error;

const MIGRATIONS: &[Migration] = &["
CREATE TABLE vector_index (
    only_row  INTEGER PRIMARY KEY CHECK (only_row = 1),
    model     TEXT NOT NULL,
    dimension INTEGER NOT NULL
);
CREATE TABLE chunks (
    chunk_id     INTEGER PRIMARY KEY,
    point_id     BLOB NOT NULL UNIQUE,
    document_id  TEXT NOT NULL,
    revision     INTEGER NOT NULL,
    ordinal      INTEGER NOT NULL,
    author       TEXT NOT NULL,
    category     TEXT NOT NULL,
    source_kind  TEXT NOT NULL,
    natural_key  TEXT NOT NULL,
    title        TEXT,
    url          TEXT,
    -- Seconds since 1970; absent where unknown.
    published_at INTEGER,
    heading_path TEXT NOT NULL,
    text         TEXT NOT NULL,
    span_start   INTEGER NOT NULL,
    span_end     INTEGER NOT NULL,
    token_count  INTEGER NOT NULL,
    content_hash TEXT NOT NULL
);
CREATE INDEX chunks_document ON chunks (document_id, revision);
CREATE VIRTUAL TABLE chunk_words USING fts5(
    title, headings, text, content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
);
"];

/// Makes the tables; the vector table has the model's dimension in its definition.
pub(super) fn prepare(tx: &Connection, model: &str, dimension: usize) -> Result<(), Error> {
    migrate(tx, "vectors", MIGRATIONS)?;
    let stored: Option<(String, i64)> = tx
        .query_row("SELECT model, dimension FROM vector_index", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match stored {
        Some((found, found_dimension)) if found != model || found_dimension != dimension as i64 => {
            Err(Error::OtherModel {
                found,
                found_dimension: usize::try_from(found_dimension).unwrap_or_default(),
                wanted: model.to_owned(),
                wanted_dimension: dimension,
            })
        }
        Some(_) => Ok(()),
        None => {
            // A dimension is a number: there is nothing to quote. The columns without `+` can be filtered on inside
            // the search. An unknown time is 0: sqlite-vec has no null in such a column.
            tx.execute_batch(&format!(
                "CREATE VIRTUAL TABLE chunk_vectors USING vec0(
                     chunk_id integer primary key, author text partition key, category text, source_kind text,
                     published_at integer, embedding float[{dimension}] distance_metric=cosine)"
            ))?;
            tx.execute("INSERT INTO vector_index VALUES (1, ?1, ?2)", params![model, dimension as i64])?;
            Ok(())
        }
    }
}
