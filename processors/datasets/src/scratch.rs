//! A temporary SQLite file for what a build knows of each passage, so that its memory does not grow with the corpus.

use tempfile::TempDir;
use twin_schemas::{Category, DocumentId, Passage, Revision};
use twin_sqlite::rusqlite::{Connection, OptionalExtension, Row, params};

use crate::Error;
use crate::candidate::{Candidate, Grounding};
use crate::split::Split;
use crate::store::StoredDocument;

/// `split` is 0 to 2 in the order of [`Split::ALL`]; `serial` numbers the kept prose of a split.
const TABLES: &str = "
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -16384;
    CREATE TABLE documents (
        seq INTEGER PRIMARY KEY, document_id TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL,
        content_hash TEXT NOT NULL, category TEXT NOT NULL, title TEXT, natural_key TEXT NOT NULL, url TEXT,
        text TEXT NOT NULL, candidates INTEGER NOT NULL, split INTEGER);
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY, document INTEGER NOT NULL, ordinal INTEGER NOT NULL, start INTEGER NOT NULL,
        text TEXT NOT NULL, headings TEXT NOT NULL, instruction TEXT NOT NULL, by_model INTEGER NOT NULL,
        grounding TEXT, split INTEGER, kept INTEGER NOT NULL, serial INTEGER);
    CREATE TABLE words (hash INTEGER PRIMARY KEY);
    CREATE TABLE bands (key INTEGER, passage INTEGER, PRIMARY KEY (key, passage)) WITHOUT ROWID;
    CREATE TABLE held_out (sequence INTEGER, passage INTEGER, PRIMARY KEY (sequence, passage)) WITHOUT ROWID;
    CREATE TABLE held_out_sizes (passage INTEGER PRIMARY KEY, size INTEGER NOT NULL);
    CREATE TABLE lines (file INTEGER, line INTEGER, passage INTEGER, PRIMARY KEY (file, line)) WITHOUT ROWID;
    CREATE INDEX passages_by_split ON passages (split, id);
    CREATE INDEX passages_by_serial ON passages (split, serial) WHERE serial IS NOT NULL;
    CREATE INDEX passages_by_document ON passages (document);
";

const COLUMNS: &str = "SELECT p.id, p.ordinal, p.start, p.text, p.headings, p.instruction, p.grounding, p.split,
    d.document_id, d.revision, d.category, d.title, d.natural_key, d.url, d.seq
    FROM passages p JOIN documents d ON d.seq = p.document";

/// The file; gone when dropped.
pub(crate) struct Scratch {
    pub(crate) connection: Connection,
    pub(crate) folder: TempDir,
}

/// A passage with what is known of its document.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub id: i64,
    pub start: u64,
    pub instruction: String,
    pub grounding: Option<Grounding>,
    pub split: Option<Split>,
    pub document: i64,
    pub passage: Passage,
}

impl Scratch {
    pub(crate) fn new() -> Result<Self, Error> {
        let folder = TempDir::with_prefix("twin-dataset-").map_err(Error::file(std::env::temp_dir()))?;
        let connection = Connection::open(folder.path().join("scratch.db"))?;
        connection.execute_batch(TABLES)?;
        // Nothing here outlives the process: one transaction for the whole build saves one for each row.
        connection.execute_batch("BEGIN")?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self { connection, folder })
    }

    pub(crate) fn add(&self, document: &StoredDocument, candidates: &[Candidate]) -> Result<(), Error> {
        self.connection
            .prepare_cached("INSERT INTO documents VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL)")?
            .execute(params![
                document.document_id.to_string(),
                document.revision.0.cast_signed(),
                document.content_hash.as_str(),
                document.category.as_str(),
                document.title,
                document.natural_key,
                document.url,
                document.text,
                candidates.len() as i64,
            ])?;
        let seq = self.connection.last_insert_rowid();
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO passages VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, NULL, 0, NULL)")?;
        for candidate in candidates {
            let grounding = candidate.grounding.as_ref().map(serde_json::to_string);
            insert.execute(params![
                seq,
                candidate.ordinal,
                candidate.span.start.cast_signed(),
                candidate.text,
                serde_json::to_string(&candidate.heading_path)?,
                candidate.instruction,
                grounding.transpose()?,
            ])?;
        }
        Ok(())
    }

    /// The first passage of a split behind `after`, kept or not.
    pub(crate) fn next(&self, split: Split, after: i64, only_kept: bool) -> Result<Option<Known>, Error> {
        let kept = if only_kept { "AND p.kept = 1" } else { "" };
        let query = format!("{COLUMNS} WHERE p.split = ?1 AND p.id > ?2 {kept} ORDER BY p.id LIMIT 1");
        self.one(&query, params![split as i64, after])
    }

    /// The passage with that number among the kept prose of a split.
    pub(crate) fn by_serial(&self, split: Split, serial: u64) -> Result<Option<Known>, Error> {
        self.one(
            &format!("{COLUMNS} WHERE p.split = ?1 AND p.serial = ?2"),
            params![split as i64, serial.cast_signed()],
        )
    }

    pub(crate) fn passage(&self, id: i64) -> Result<Option<Known>, Error> {
        self.one(&format!("{COLUMNS} WHERE p.id = ?1"), params![id])
    }

    fn one(&self, query: &str, values: &[&dyn twin_sqlite::rusqlite::ToSql]) -> Result<Option<Known>, Error> {
        let mut statement = self.connection.prepare_cached(query)?;
        let mut rows = statement.query(values)?;
        rows.next()?.map(row).transpose()
    }

    /// The text of a document.
    pub(crate) fn document_text(&self, seq: i64) -> Result<Option<String>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT text FROM documents WHERE seq = ?1")?;
        Ok(statement.query_row([seq], |row| row.get(0)).optional()?)
    }
}

fn row(row: &Row<'_>) -> Result<Known, Error> {
    let unreadable = |error: twin_schemas::InvalidId| Error::Row(error.to_string());
    let grounding: Option<String> = row.get(6)?;
    let grounding: Option<Grounding> = grounding.map(|json| serde_json::from_str(&json)).transpose()?;
    let split: Option<i64> = row.get(7)?;
    let category: Category = row.get::<_, String>(10)?.parse().map_err(unreadable)?;
    let document_id: DocumentId = row.get::<_, String>(8)?.parse().map_err(unreadable)?;
    Ok(Known {
        id: row.get(0)?,
        start: row.get::<_, i64>(2)?.unsigned_abs(),
        instruction: row.get(5)?,
        grounding,
        split: split.and_then(|split| Split::ALL.get(split as usize).copied()),
        document: row.get(14)?,
        passage: Passage {
            document_id,
            revision: Revision(row.get::<_, i64>(9)?.unsigned_abs()),
            ordinal: row.get(1)?,
            natural_key: row.get(12)?,
            title: row.get(11)?,
            url: row.get(13)?,
            category,
            heading_path: serde_json::from_str(&row.get::<_, String>(4)?)?,
            text: row.get(3)?,
            // Nothing was searched for: prompts do not show it.
            score: 0.0,
        },
    })
}
