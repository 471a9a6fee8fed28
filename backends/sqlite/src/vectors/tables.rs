use crate::{Migration, migrate};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Failure;
use twin_vectors::Error;
use twin_vectors::IndexModel;

const MIGRATIONS: &[Migration] = &[
    "
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
",
    // Vectors of a second model can be built beside the first. A chunk is the same chunk whatever model made its vector.
    "
CREATE TABLE generations (
    generation   INTEGER PRIMARY KEY,
    model        TEXT NOT NULL,
    dimension    INTEGER NOT NULL,
    -- How the model is loaded; not read here.
    settings     TEXT NOT NULL,
    -- Its vec0 table.
    vector_table TEXT NOT NULL,
    -- 1: searched. 0: under construction.
    active       INTEGER NOT NULL
);
CREATE UNIQUE INDEX generations_active ON generations (active);
INSERT INTO generations SELECT 1, model, dimension, '', 'chunk_vectors', 1 FROM vector_index;
DROP TABLE vector_index;
ALTER TABLE chunks RENAME TO chunks_before;
DROP INDEX chunks_document;
CREATE TABLE chunks (
    chunk_id     INTEGER PRIMARY KEY,
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
    content_hash TEXT NOT NULL,
    UNIQUE (document_id, revision, ordinal)
);
INSERT INTO chunks SELECT chunk_id, document_id, revision, ordinal, author, category, source_kind, natural_key, title,
    url, published_at, heading_path, text, span_start, span_end, token_count, content_hash FROM chunks_before;
DROP TABLE chunks_before;
",
];

/// The vectors of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Generation {
    pub(super) number: i64,
    pub(super) model: IndexModel,
    /// The name of its vec0 table, one of [`table_name`]'s.
    pub(super) table: String,
}

/// Makes or migrates the tables.
pub(super) fn prepare(tx: &Connection) -> Result<(), Failure> {
    Ok(migrate(tx, "vectors", MIGRATIONS)?)
}

/// The generation that is searched.
pub(super) fn active(c: &Connection) -> Result<Option<Generation>, Failure> {
    generation(c, true)
}

/// The generation under construction.
pub(super) fn unfinished(c: &Connection) -> Result<Option<Generation>, Failure> {
    generation(c, false)
}

fn generation(c: &Connection, active: bool) -> Result<Option<Generation>, Failure> {
    let mut statement = c.prepare_cached(
        "SELECT generation, model, dimension, settings, vector_table FROM generations WHERE active = ?1",
    )?;
    Ok(statement.query_row([active], read_generation).optional()?)
}

fn read_generation(row: &Row<'_>) -> Result<Generation, rusqlite::Error> {
    let dimension: u32 = row.get(2)?;
    let model = IndexModel { id: row.get(1)?, dimension: dimension as usize, settings: row.get(3)? };
    Ok(Generation { number: row.get(0)?, model, table: row.get(4)? })
}

/// Makes an empty generation; chunks that are there have no vector in it.
pub(super) fn create(tx: &Connection, model: &IndexModel, active: bool) -> Result<Generation, Failure> {
    let number: i64 = tx.query_row("SELECT coalesce(max(generation), 0) + 1 FROM generations", [], |row| row.get(0))?;
    let generation = Generation { number, model: model.clone(), table: table_name(number) };
    // Numbers are all that is put in: there is nothing to quote. The columns without `+` can be filtered on inside the
    // search. An unknown time is 0: sqlite-vec has no null in such a column.
    tx.execute_batch(&format!(
        "CREATE VIRTUAL TABLE {} USING vec0(
             chunk_id integer primary key, author text partition key, category text, source_kind text,
             published_at integer, embedding float[{}] distance_metric=cosine)",
        generation.table, model.dimension
    ))?;
    tx.execute(
        "INSERT INTO generations VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![number, model.id, model.dimension as i64, model.settings, generation.table, active],
    )?;
    Ok(generation)
}

/// Deletes a generation and its vectors.
pub(super) fn drop_generation(tx: &Connection, generation: &Generation) -> Result<(), Failure> {
    tx.execute_batch(&format!("DROP TABLE {}", generation.table))?;
    tx.execute("DELETE FROM generations WHERE generation = ?1", [generation.number])?;
    Ok(())
}

/// The first one's has no number, as in the first version of the schema.
fn table_name(generation: i64) -> String {
    if generation == 1 { "chunk_vectors".to_owned() } else { format!("chunk_vectors_{generation}") }
}

/// Whether the index holds vectors of this model.
pub(super) fn expect_model(found: &IndexModel, wanted: &IndexModel) -> Result<(), Failure> {
    if found.id == wanted.id && found.dimension == wanted.dimension {
        return Ok(());
    }
    Err(Failure::Port(Error::OtherModel {
        found: found.id.clone(),
        found_dimension: found.dimension,
        wanted: wanted.id.clone(),
        wanted_dimension: wanted.dimension,
    }))
}
