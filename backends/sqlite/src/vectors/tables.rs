use rusqlite::{Connection, OptionalExtension, params};
use twin_embedding::{EmbeddingModel, EmbeddingModelId};
use twin_vectors::{Error, Generation, Generations, Phase};

use super::Failure;
use crate::{Migration, migrate};

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
    // Which generations there are is one row, changed as a whole. A number is given once: what was given up keeps its own.
    "
CREATE TABLE vector_index (
    only_row    INTEGER PRIMARY KEY CHECK (only_row = 1),
    -- The generation that is searched.
    active      INTEGER NOT NULL,
    -- serving, building or draining.
    phase       TEXT NOT NULL,
    -- The generation that is being built or deleted.
    beside      INTEGER,
    last_number INTEGER NOT NULL
);
INSERT INTO vector_index
    SELECT 1, a.generation, CASE WHEN b.generation IS NULL THEN 'serving' ELSE 'building' END, b.generation,
        (SELECT max(generation) FROM generations)
    FROM generations a LEFT JOIN generations b ON b.active = 0 WHERE a.active = 1;
DROP INDEX generations_active;
ALTER TABLE generations DROP COLUMN active;
",
    // How many chunks an author has, and which of those with a word are the author's, is told without reading their texts.
    "CREATE INDEX chunks_author ON chunks (author, chunk_id, category);",
];

/// Makes or migrates the tables.
pub(super) fn prepare(tx: &Connection) -> Result<(), Failure> {
    Ok(migrate(tx, "vectors", MIGRATIONS)?)
}

/// The generations; none if there is no index.
pub(super) fn load(c: &Connection) -> Result<Option<Generations>, Failure> {
    let row = c
        .prepare_cached("SELECT active, phase, beside, last_number FROM vector_index WHERE only_row = 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get::<_, i64>(3)?)))
        .optional()?;
    let Some((active, phase, beside, last_number)) = row else { return Ok(None) };
    let phase = match (phase.as_str(), beside) {
        ("serving", None) => Phase::Serving,
        ("building", Some(number)) => Phase::Building(generation(c, number)?),
        ("draining", Some(number)) => Phase::Draining(generation(c, number)?),
        (other, beside) => return Err(unreadable("phase", format!("{other:?} beside {beside:?}"))),
    };
    Ok(Some(Generations { active: generation(c, active)?, phase, last_number: last_number.unsigned_abs() }))
}

fn generation(c: &Connection, number: i64) -> Result<Generation, Failure> {
    let mut statement = c.prepare_cached("SELECT model, dimension, settings FROM generations WHERE generation = ?1")?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?, row.get(2)?));
    let (id, dimension, settings) = statement.query_row([number], read)?;
    let id: EmbeddingModelId = id.parse().map_err(|error| unreadable("model id", format!("{error}")))?;
    let model = EmbeddingModel { id, dimension: dimension as usize, settings };
    Ok(Generation { number: number.unsigned_abs(), model })
}

fn unreadable(what: &'static str, problem: String) -> Failure {
    Failure::Port(Error::Stored { what, problem })
}

/// Makes the generations what they are to be: their row, and their tables.
pub(super) fn store(tx: &Connection, before: Option<&Generations>, after: &Generations) -> Result<(), Failure> {
    let numbers =
        |generations: &Generations| generations.existing().map(|existing| existing.number).collect::<Vec<_>>();
    let (existed, exist) = (before.map(numbers).unwrap_or_default(), numbers(after));
    for generation in after.existing() {
        if !existed.contains(&generation.number) {
            create_vectors(tx, generation)?;
        }
        put(tx, generation)?;
    }
    for gone in before.into_iter().flat_map(|before| before.existing()).filter(|gone| !exist.contains(&gone.number)) {
        tx.execute_batch(&format!("DROP TABLE {}", vector_table(gone)))?;
        tx.execute("DELETE FROM generations WHERE generation = ?1", [gone.number.cast_signed()])?;
    }
    if before == Some(after) {
        return Ok(());
    }
    let (phase, beside) = match &after.phase {
        Phase::Serving => ("serving", None),
        Phase::Building(generation) => ("building", Some(generation.number.cast_signed())),
        Phase::Draining(generation) => ("draining", Some(generation.number.cast_signed())),
    };
    tx.execute(
        "INSERT OR REPLACE INTO vector_index (only_row, active, phase, beside, last_number) VALUES (1, ?1, ?2, ?3, ?4)",
        params![after.active.number.cast_signed(), phase, beside, after.last_number.cast_signed()],
    )?;
    Ok(())
}

/// Writes only what has changed: an index is opened more often than its model moves.
fn put(tx: &Connection, generation: &Generation) -> Result<(), Failure> {
    let Generation { number, model } = generation;
    tx.execute(
        "INSERT INTO generations (generation, model, dimension, settings, vector_table) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (generation) DO UPDATE SET model = excluded.model, settings = excluded.settings
         WHERE model <> excluded.model OR settings <> excluded.settings",
        params![
            number.cast_signed(),
            model.id.to_string(),
            model.dimension as i64,
            model.settings,
            vector_table(generation)
        ],
    )?;
    Ok(())
}

/// An empty table of vectors.
fn create_vectors(tx: &Connection, generation: &Generation) -> Result<(), Failure> {
    // Numbers are all that is put in: there is nothing to quote. The columns without `+` can be filtered on inside the
    // search. An unknown time is 0: sqlite-vec has no null in such a column.
    tx.execute_batch(&format!(
        "CREATE VIRTUAL TABLE {} USING vec0(
             chunk_id integer primary key, author text partition key, category text, source_kind text,
             published_at integer, embedding float[{}] distance_metric=cosine)",
        vector_table(generation),
        generation.model.dimension
    ))?;
    Ok(())
}

/// The vec0 table of a generation. The first one's has no number, as in the first version of the schema.
pub(super) fn vector_table(generation: &Generation) -> String {
    match generation.number {
        1 => "chunk_vectors".to_owned(),
        number => format!("chunk_vectors_{number}"),
    }
}

/// Refuses a handle whose generation is not the active one. Gives the table of the generation that is being built.
pub(super) fn expect_active(c: &Connection, generation: &Generation) -> Result<Option<String>, Failure> {
    let mut statement = c.prepare_cached("SELECT active, phase FROM vector_index WHERE only_row = 1")?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)? == "serving"));
    let found: Option<(i64, bool)> = statement.query_row([], read).optional()?;
    if found == Some((generation.number.cast_signed(), true)) {
        // Nearly always, and all that a search has to know.
        return Ok(None);
    }
    let generations = load(c)?.ok_or(Failure::Port(Error::NoIndex))?;
    generations.expect_active(generation).map_err(Failure::Port)?;
    Ok(generations.building().map(vector_table))
}
