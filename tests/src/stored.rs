//! The oracle of the fault tests: what a twin has stored, compared with what an undisturbed one has.
//!
//! Everything that a user could ever see is compared: documents, their revisions, the ledger, chunks and vectors.
//! Times, and the order in which rows were written, are not.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use twin_sqlite::Database;
use twin_sqlite::rusqlite::{self, Connection, Row};

/// Two embeddings of one text may differ in the last bits: its neighbours in the batch are other ones.
const SAME_DIRECTION: f32 = 0.9999;

/// What a stopped twin's data folder holds.
#[derive(Debug)]
pub struct Stored {
    /// By document id: its row in the warehouse.
    documents: BTreeMap<String, String>,
    /// By document id: what the ledger says.
    ledger: BTreeMap<String, String>,
    /// By document, revision and ordinal.
    chunks: BTreeMap<(String, i64, i64), Chunk>,
}

#[derive(Debug)]
struct Chunk {
    text: String,
    vector: Vec<f32>,
}

impl Stored {
    /// Reads the data folder of a twin that does not run.
    ///
    /// # Errors
    /// It can not be read, or a chunk has no vector.
    pub fn read(data: &Path) -> Result<Self> {
        let database = Database::open(&data.join("twin.db"))?;
        Ok(database.read_blocking::<_, twin_sqlite::Error, _>(|connection| Ok(Self::of(connection)?))?)
    }

    fn of(c: &Connection) -> Result<Self, rusqlite::Error> {
        let documents = by_id(
            c,
            "SELECT document_id, json_array(revision, deleted, deleted_revision, published, author, category,
                 source_kind, natural_key, title, url, media_type, content_hash, content) FROM documents",
        )?;
        // Not the model: it is that of the time when the document was indexed, and may have been changed since.
        let ledger = by_id(c, "SELECT document_id, json_array(revision, chunks) FROM ledger")?;
        let sql = "SELECT vector_table FROM generations JOIN vector_index ON generation = active";
        let table: String = c.query_row(sql, [], |row| row.get(0))?;
        let mut statement = c.prepare(&format!(
            "SELECT k.document_id, k.revision, k.ordinal, k.text, v.embedding
             FROM chunks k LEFT JOIN {table} v USING (chunk_id)",
        ))?;
        let rows = statement.query_map([], |row| {
            let bytes: Vec<u8> = row.get(4)?;
            let (floats, _) = bytes.as_chunks::<4>();
            let vector = floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            Ok(((row.get(0)?, row.get(1)?, row.get(2)?), Chunk { text: row.get(3)?, vector }))
        })?;
        Ok(Self { documents, ledger, chunks: rows.collect::<Result<_, _>>()? })
    }

    /// How many chunks there are.
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// What is stored otherwise than in `expected`, one line each; none if both are the same.
    pub fn differences(&self, expected: &Self) -> Vec<String> {
        let mut found = Vec::new();
        compare("document", &self.documents, &expected.documents, |a, b| a == b, &mut found);
        compare("ledger entry", &self.ledger, &expected.ledger, |a, b| a == b, &mut found);
        compare("chunk", &self.chunks, &expected.chunks, Chunk::is_same, &mut found);
        found
    }

    /// The differences as an error.
    ///
    /// # Errors
    /// Anything is stored otherwise than in `expected`.
    pub fn ensure_same(&self, expected: &Self) -> Result<()> {
        let differences = self.differences(expected);
        let shown: Vec<&str> = differences.iter().take(20).map(String::as_str).collect();
        differences
            .is_empty()
            .then_some(())
            .with_context(|| format!("{} differences to an undisturbed run:\n{}", differences.len(), shown.join("\n")))
    }
}

impl Chunk {
    fn is_same(&self, other: &Self) -> bool {
        let product: f32 = self.vector.iter().zip(&other.vector).map(|(a, b)| a * b).sum();
        self.text == other.text && self.vector.len() == other.vector.len() && product > SAME_DIRECTION
    }
}

fn by_id(c: &Connection, sql: &str) -> Result<BTreeMap<String, String>, rusqlite::Error> {
    let mut statement = c.prepare(sql)?;
    let rows = statement.query_map([], |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn compare<K: Ord + std::fmt::Debug, V: std::fmt::Debug>(
    what: &str,
    actual: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
    is_same: impl Fn(&V, &V) -> bool,
    found: &mut Vec<String>,
) {
    for (key, value) in expected {
        match actual.get(key) {
            None => found.push(format!("{what} {key:?} is missing")),
            Some(other) if !is_same(other, value) => {
                found.push(format!("{what} {key:?} is {other:?} instead of {value:?}"));
            }
            Some(_) => {}
        }
    }
    let surplus = actual.keys().filter(|key| !expected.contains_key(*key));
    found.extend(surplus.map(|key| format!("{what} {key:?} should not be there")));
}
