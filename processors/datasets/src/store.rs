//! The cleaned documents of all authors, as the newest revision of each is known, and the versions made of them.
//!
//! Events may come twice and in any order: a revision that is not higher than the stored one changes nothing, and a
//! deletion keeps its row without the text, so that a late older revision can not bring the document back.

mod documents;
mod versions;

use twin_sqlite::{Database, migrate};

pub use documents::{AuthorState, StoredDocument};
pub use versions::FrozenVersion;

use crate::{Error, Options};

const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE dataset_documents (
        document_id   TEXT PRIMARY KEY,
        author        TEXT NOT NULL,
        revision      INTEGER NOT NULL,
        deleted       INTEGER NOT NULL,
        category      TEXT NOT NULL,
        language      TEXT,
        code_language TEXT,
        title         TEXT,
        natural_key   TEXT NOT NULL,
        url           TEXT,
        content_hash  TEXT NOT NULL,
        text          TEXT NOT NULL,
        samples       INTEGER NOT NULL,
        changed       INTEGER NOT NULL UNIQUE
    ) STRICT;
    CREATE INDEX dataset_documents_by_author ON dataset_documents (author, deleted, document_id);
    CREATE INDEX dataset_documents_by_change ON dataset_documents (author, changed);
    CREATE TABLE dataset_versions (
        dataset   TEXT PRIMARY KEY,
        author    TEXT NOT NULL,
        number    INTEGER NOT NULL,
        manifest  TEXT NOT NULL,
        changed   INTEGER NOT NULL,
        frozen_at TEXT NOT NULL
    ) STRICT;
    CREATE INDEX dataset_versions_by_author ON dataset_versions (author, number);
",
    // What an author has is counted every few seconds. These columns lie behind the text, so that without an index that
    // has them all, each count would read every document.
    "
    DROP INDEX dataset_documents_by_change;
    CREATE INDEX dataset_documents_by_change ON dataset_documents (author, changed, deleted, samples);
",
];

/// The store; clones share it.
#[derive(Clone)]
pub struct DocumentStore {
    database: Database,
    options: Options,
}

impl DocumentStore {
    /// Brings the tables to their newest form. `options` say which samples of a document count as usable.
    pub async fn open(database: Database, options: Options) -> Result<Self, Error> {
        options.validate()?;
        database.write(|tx| Ok::<_, Error>(migrate(tx, "datasets", MIGRATIONS)?)).await?;
        Ok(Self { database, options })
    }
}
