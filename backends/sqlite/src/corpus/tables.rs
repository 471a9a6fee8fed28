use crate::Migration;

pub(super) const MIGRATIONS: &[Migration] = &[
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
    // A document knows the revision of it that a version holds, instead of the place of its last change among those of
    // all documents. Which versions there are is the registry's alone.
    "
    ALTER TABLE dataset_documents RENAME TO dataset_documents_before;
    DROP INDEX dataset_documents_by_author;
    DROP INDEX dataset_documents_by_change;
    CREATE TABLE dataset_documents (
        document_id   TEXT PRIMARY KEY,
        author        TEXT NOT NULL,
        revision      INTEGER NOT NULL,
        -- The highest revision that a version holds; 0: none.
        frozen        INTEGER NOT NULL,
        deleted       INTEGER NOT NULL,
        samples       INTEGER NOT NULL,
        category      TEXT NOT NULL,
        language      TEXT,
        code_language TEXT,
        title         TEXT,
        natural_key   TEXT NOT NULL,
        url           TEXT,
        content_hash  TEXT NOT NULL,
        text          TEXT NOT NULL
    ) STRICT;
    INSERT INTO dataset_documents SELECT document_id, author, revision,
        CASE WHEN changed <= coalesce((SELECT max(v.changed) FROM dataset_versions v WHERE v.author = d.author), 0)
            THEN revision ELSE 0 END,
        deleted, samples, category, language, code_language, title, natural_key, url, content_hash, text
        FROM dataset_documents_before d;
    DROP TABLE dataset_documents_before;
    DROP TABLE dataset_versions;
    CREATE INDEX dataset_documents_by_author ON dataset_documents (author, deleted, document_id);
    CREATE INDEX dataset_documents_state ON dataset_documents (author, deleted, samples, revision, frozen);
",
    "
    -- What models have said of documents: derived, and asked for anew where it is missing.
    CREATE TABLE model_replies (
        author      TEXT NOT NULL,
        key         TEXT NOT NULL,
        document_id TEXT NOT NULL,
        -- The number of the newest version that it was used for.
        used        INTEGER NOT NULL,
        reply       TEXT NOT NULL,
        PRIMARY KEY (author, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX model_replies_by_use ON model_replies (author, used, key);
    CREATE INDEX model_replies_by_document ON model_replies (document_id);
",
];
