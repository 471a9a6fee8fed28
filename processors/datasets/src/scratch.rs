//! A temporary SQLite file for what a build knows of each passage, so that its memory does not grow with the corpus.
//!
//! It is a tool of this build and no store: nobody else sees it, and it is gone with the build. So SQLite is used here as
//! it is, whatever keeps the corpus.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tempfile::TempDir;
use twin_corpus::CorpusDocument;
use twin_schemas::{Category, ContentHash, DocumentId, Passage, Revision, SourceDocument, Split};
use twin_text::natural::Language;

use crate::Error;
use crate::candidate::{Candidate, Grounding, is_prose, language_of};

/// `split` is 0 to 2 in the order of [`Split::ALL`]; `serial` numbers the kept prose of a split.
const TABLES: &str = "
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -16384;
    CREATE TABLE documents (
        seq INTEGER PRIMARY KEY, document_id TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL,
        content_hash TEXT NOT NULL, category TEXT NOT NULL, title TEXT, natural_key TEXT NOT NULL, url TEXT,
        language TEXT, text TEXT NOT NULL, candidates INTEGER NOT NULL, split INTEGER);
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY, document INTEGER NOT NULL, ordinal INTEGER NOT NULL, start INTEGER NOT NULL,
        text TEXT NOT NULL, headings TEXT NOT NULL, instruction TEXT NOT NULL, other_instruction TEXT,
        by_model INTEGER NOT NULL, ends INTEGER NOT NULL, grounding TEXT, split INTEGER, kept INTEGER NOT NULL,
        serial INTEGER);
    CREATE TABLE prompts (hash INTEGER PRIMARY KEY, split INTEGER NOT NULL);
    CREATE TABLE topics (split INTEGER, word INTEGER, passage INTEGER, weight REAL NOT NULL,
        PRIMARY KEY (split, word, passage)) WITHOUT ROWID;
    CREATE TABLE words (hash INTEGER PRIMARY KEY);
    CREATE TABLE bands (key INTEGER, passage INTEGER, PRIMARY KEY (key, passage)) WITHOUT ROWID;
    CREATE TABLE held_out (sequence INTEGER, passage INTEGER, PRIMARY KEY (sequence, passage)) WITHOUT ROWID;
    CREATE TABLE held_out_sizes (passage INTEGER PRIMARY KEY, size INTEGER NOT NULL);
    CREATE TABLE sequences (sequence INTEGER, passage INTEGER, PRIMARY KEY (sequence, passage)) WITHOUT ROWID;
    CREATE TABLE lines (file INTEGER, line INTEGER, passage INTEGER, PRIMARY KEY (file, line)) WITHOUT ROWID;
    CREATE INDEX passages_by_split ON passages (split, id);
    CREATE INDEX passages_by_serial ON passages (split, serial) WHERE serial IS NOT NULL;
    CREATE INDEX passages_by_document ON passages (document);
";

const COLUMNS: &str = "SELECT p.id, p.ordinal, p.start, p.text, p.headings, p.instruction, p.grounding, p.split,
    d.document_id, d.revision, d.category, d.title, d.natural_key, d.url, d.seq, p.other_instruction, p.ends, d.language
    FROM passages p JOIN documents d ON d.seq = p.document";

/// The file; gone when dropped.
pub(crate) struct Scratch {
    connection: Connection,
    pub(crate) folder: TempDir,
}

/// A passage with what is known of its document.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub id: i64,
    pub start: u64,
    pub instruction: String,
    pub other_instruction: Option<String>,
    pub ends: bool,
    pub grounding: Option<Grounding>,
    pub language: Option<Language>,
    pub split: Option<Split>,
    pub document: i64,
    pub passage: Passage,
}

impl Known {
    /// Whether its document is written to be read.
    pub(crate) fn is_prose(&self) -> bool {
        is_prose(self.passage.category, &self.passage.natural_key)
    }
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

    pub(crate) fn add(&self, document: &CorpusDocument, candidates: &[Candidate]) -> Result<(), Error> {
        self.connection
            .prepare_cached("INSERT INTO documents VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, NULL)")?
            .execute(params![
                document.document_id.to_string(),
                document.revision.0.cast_signed(),
                document.content_hash.as_str(),
                document.category.as_str(),
                document.title,
                document.natural_key,
                document.url,
                language_of(document).map(Language::code),
                document.text,
                candidates.len() as i64,
            ])?;
        let seq = self.connection.last_insert_rowid();
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO passages VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, NULL, 0, NULL)",
        )?;
        for candidate in candidates {
            let grounding = candidate.grounding.as_ref().map(serde_json::to_string);
            insert.execute(params![
                seq,
                candidate.ordinal,
                candidate.span.start.cast_signed(),
                candidate.text,
                serde_json::to_string(&candidate.heading_path)?,
                candidate.instruction,
                candidate.other_instruction,
                candidate.ends,
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

    fn one(&self, query: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Option<Known>, Error> {
        let mut statement = self.connection.prepare_cached(query)?;
        let mut rows = statement.query(values)?;
        rows.next()?.map(row).transpose()
    }

    /// The documents that have candidates.
    pub(crate) fn documents_with_candidates(&self) -> Result<Vec<DocumentId>, Error> {
        let mut statement = self.connection.prepare("SELECT document_id FROM documents WHERE candidates > 0")?;
        let ids = statement.query_map([], |row| row.get::<_, String>(0))?;
        ids.map(|id| id?.parse().map_err(|error| Error::Row(format!("{error}")))).collect()
    }

    /// Puts documents into splits, with their passages.
    pub(crate) fn assign(&self, splits: impl IntoIterator<Item = (DocumentId, Split)>) -> Result<(), Error> {
        let mut update = self.connection.prepare("UPDATE documents SET split = ?2 WHERE document_id = ?1")?;
        for (document, split) in splits {
            update.execute(params![document.to_string(), split as i64])?;
        }
        let passages = "UPDATE passages SET split = (SELECT split FROM documents WHERE seq = document)";
        self.connection.execute(passages, [])?;
        Ok(())
    }

    /// Marks a passage as kept, with its number if it is prose.
    pub(crate) fn keep(&self, id: i64, serial: Option<u64>) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE passages SET kept = 1, serial = ?2 WHERE id = ?1")?
            .execute(params![id, serial.map(u64::cast_signed)])?;
        Ok(())
    }

    /// A kept passage has this hash of all its words.
    pub(crate) fn add_words(&self, hash: u64) -> Result<(), Error> {
        self.connection.prepare_cached("INSERT INTO words VALUES (?1)")?.execute([hash.cast_signed()])?;
        Ok(())
    }

    /// Whether a kept passage has exactly these words.
    pub(crate) fn has_words(&self, hash: u64) -> Result<bool, Error> {
        Ok(self.connection.prepare_cached("SELECT 1 FROM words WHERE hash = ?1")?.exists([hash.cast_signed()])?)
    }

    /// A kept passage is in these bands of its MinHash.
    pub(crate) fn add_bands(&self, passage: i64, keys: impl IntoIterator<Item = u64>) -> Result<(), Error> {
        let mut insert = self.connection.prepare_cached("INSERT OR IGNORE INTO bands VALUES (?1, ?2)")?;
        for key in keys {
            insert.execute([key.cast_signed(), passage])?;
        }
        Ok(())
    }

    /// The kept passages in a band.
    pub(crate) fn in_band(&self, key: u64) -> Result<Vec<i64>, Error> {
        self.passages_of("SELECT passage FROM bands WHERE key = ?1", key)
    }

    /// A passage that is held out from training, with its sequences of words.
    pub(crate) fn hold_out(&self, passage: i64, sequences: &[u64]) -> Result<(), Error> {
        let mut insert = self.connection.prepare_cached("INSERT INTO held_out VALUES (?1, ?2)")?;
        for sequence in sequences {
            insert.execute([sequence.cast_signed(), passage])?;
        }
        let size = "INSERT INTO held_out_sizes VALUES (?1, ?2)";
        self.connection.prepare_cached(size)?.execute([passage, sequences.len() as i64])?;
        Ok(())
    }

    /// The held-out passages that hold a sequence of words.
    pub(crate) fn holding(&self, sequence: u64) -> Result<Vec<i64>, Error> {
        self.passages_of("SELECT passage FROM held_out WHERE sequence = ?1", sequence)
    }

    /// A passage holds these sequences of words: one of those that are compared for families, whatever its split.
    pub(crate) fn add_sequences(&self, passage: i64, sequences: &[u64]) -> Result<(), Error> {
        let mut insert = self.connection.prepare_cached("INSERT INTO sequences VALUES (?1, ?2)")?;
        for sequence in sequences {
            insert.execute([sequence.cast_signed(), passage])?;
        }
        Ok(())
    }

    /// The passages of [`Self::add_sequences`] that hold a sequence of words.
    pub(crate) fn with_sequence(&self, sequence: u64) -> Result<Vec<i64>, Error> {
        self.passages_of("SELECT passage FROM sequences WHERE sequence = ?1", sequence)
    }

    fn passages_of(&self, query: &str, hash: u64) -> Result<Vec<i64>, Error> {
        let mut statement = self.connection.prepare_cached(query)?;
        Ok(statement.query_map([hash.cast_signed()], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// How many sequences of words a held-out passage has.
    pub(crate) fn held_out_size(&self, passage: i64) -> Result<u64, Error> {
        let mut statement = self.connection.prepare_cached("SELECT size FROM held_out_sizes WHERE passage = ?1")?;
        Ok(statement.query_row([passage], |row| row.get::<_, i64>(0))?.unsigned_abs())
    }

    /// Gives a passage the instruction that a model has written.
    pub(crate) fn instruct(&self, id: i64, instruction: &str) -> Result<(), Error> {
        let update = "UPDATE passages SET instruction = ?2, by_model = 1 WHERE id = ?1";
        self.connection.prepare_cached(update)?.execute(params![id, instruction])?;
        Ok(())
    }

    /// Gives a passage another instruction, told from its document too, and another question, or none.
    pub(crate) fn ask(&self, id: i64, instruction: &str, grounding: Option<&Grounding>) -> Result<(), Error> {
        let grounding = grounding.map(serde_json::to_string).transpose()?;
        let update = "UPDATE passages SET instruction = ?2, grounding = ?3 WHERE id = ?1";
        self.connection.prepare_cached(update)?.execute(params![id, instruction, grounding])?;
        Ok(())
    }

    /// Takes a prompt, by the hash of its words, for a split. False if it stands in another one.
    pub(crate) fn claim_prompt(&self, hash: u64, split: Split) -> Result<bool, Error> {
        let claim = "INSERT INTO prompts VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        self.connection.prepare_cached(claim)?.execute(params![hash.cast_signed(), split as i64])?;
        let mut statement = self.connection.prepare_cached("SELECT split FROM prompts WHERE hash = ?1")?;
        Ok(statement.query_row([hash.cast_signed()], |row| row.get::<_, i64>(0))? == split as i64)
    }

    /// A kept passage is left out after all.
    pub(crate) fn leave_out(&self, id: i64) -> Result<(), Error> {
        self.connection.prepare_cached("UPDATE passages SET kept = 0 WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// The kept passages of a split, and those of them that are code.
    pub(crate) fn kept(&self, split: Split) -> Result<(u64, u64), Error> {
        let query =
            "SELECT count(*), count(*) FILTER (WHERE serial IS NULL) FROM passages WHERE split = ?1 AND kept = 1";
        let count = |row: &Row<'_>, column| row.get::<_, i64>(column).map(i64::unsigned_abs);
        Ok(self.connection.query_row(query, [split as i64], |row| Ok((count(row, 0)?, count(row, 1)?)))?)
    }

    /// The documents of a split that have a kept passage.
    pub(crate) fn documents_in(&self, split: Split) -> Result<u64, Error> {
        let query = "SELECT count(DISTINCT document) FROM passages WHERE split = ?1 AND kept = 1";
        Ok(self.connection.query_row(query, [split as i64], |row| row.get::<_, i64>(0))?.unsigned_abs())
    }

    /// The ids of a split's kept passages that have a question.
    pub(crate) fn askable(&self, split: Split) -> Result<Vec<i64>, Error> {
        let query = "SELECT id FROM passages WHERE split = ?1 AND kept = 1 AND grounding IS NOT NULL ORDER BY id";
        let mut statement = self.connection.prepare(query)?;
        Ok(statement.query_map([split as i64], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// What a kept passage of a split is about: words with their weights.
    pub(crate) fn add_topics(&self, split: Split, passage: i64, words: &[(u64, f64)]) -> Result<(), Error> {
        let mut insert = self.connection.prepare_cached("INSERT OR IGNORE INTO topics VALUES (?1, ?2, ?3, ?4)")?;
        for (word, weight) in words {
            insert.execute(params![split as i64, word.cast_signed(), passage, weight])?;
        }
        Ok(())
    }

    /// The passages of a split that are about a word, with its weight in each: those of the highest weight, so many.
    pub(crate) fn about(&self, split: Split, word: u64, most: usize) -> Result<Vec<(i64, f64)>, Error> {
        let query =
            "SELECT passage, weight FROM topics WHERE split = ?1 AND word = ?2 ORDER BY weight DESC, passage LIMIT ?3";
        let mut statement = self.connection.prepare_cached(query)?;
        let rows = statement
            .query_map(params![split as i64, word.cast_signed(), most as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A document's kept passages after one of them, in order.
    pub(crate) fn next_of_document(&self, document: i64, after: i64) -> Result<Option<Known>, Error> {
        let query = format!("{COLUMNS} WHERE p.document = ?1 AND p.id > ?2 AND p.kept = 1 ORDER BY p.id LIMIT 1");
        self.one(&query, params![document, after])
    }

    /// The kept prose passages of a split.
    pub(crate) fn prose_passages(&self, split: Split) -> Result<u64, Error> {
        let query = "SELECT coalesce(max(serial) + 1, 0) FROM passages WHERE split = ?1 AND serial IS NOT NULL";
        Ok(self.connection.query_row(query, [split as i64], |row| row.get::<_, i64>(0))?.unsigned_abs())
    }

    /// A line of a split's file was made of this passage.
    pub(crate) fn note_line(&self, split: Split, line: u64, passage: i64) -> Result<(), Error> {
        let note = "INSERT INTO lines VALUES (?1, ?2, ?3)";
        self.connection.prepare_cached(note)?.execute(params![split as i64, line.cast_signed(), passage])?;
        Ok(())
    }

    /// The passage that a line of a split's file was made of.
    pub(crate) fn by_line(&self, split: Split, line: u64) -> Result<Option<Known>, Error> {
        let query = format!("{COLUMNS} JOIN lines l ON l.passage = p.id WHERE l.file = ?1 AND l.line = ?2");
        self.one(&query, params![split as i64, line.cast_signed()])
    }

    /// The documents read, with what became of each.
    pub(crate) fn source_documents(&self) -> Result<Vec<SourceDocument>, Error> {
        let mut by_model = self.connection.prepare(
            "SELECT ordinal FROM passages WHERE document = ?1 AND kept = 1 AND by_model = 1 ORDER BY ordinal",
        )?;
        let mut statement = self.connection.prepare(
            "SELECT d.seq, d.document_id, d.revision, d.content_hash, d.split,
                    (SELECT count(*) FROM passages p WHERE p.document = d.seq AND p.kept = 1)
             FROM documents d ORDER BY d.document_id",
        )?;
        let mut rows = statement.query([])?;
        let mut documents = Vec::new();
        while let Some(row) = rows.next()? {
            let ordinals = by_model.query_map([row.get::<_, i64>(0)?], |row| row.get(0))?;
            let id: String = row.get(1)?;
            documents.push(SourceDocument {
                document_id: id.parse().map_err(|error| Error::Row(format!("{error}")))?,
                revision: Revision(row.get::<_, i64>(2)?.unsigned_abs()),
                content_hash: ContentHash::stored(row.get::<_, String>(3)?),
                split: row.get::<_, Option<i64>>(4)?.and_then(|split| Split::ALL.get(split as usize).copied()),
                passages: row.get::<_, i64>(5)?.unsigned_abs(),
                instructions_by_model: ordinals.collect::<Result<_, _>>()?,
            });
        }
        Ok(documents)
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
        other_instruction: row.get(15)?,
        ends: row.get(16)?,
        language: row.get::<_, Option<String>>(17)?.and_then(|code| Language::of_code(&code)),
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
