use crate::Migration;

/// Ids are stored as text: any tool that opens the file can read them. Times are RFC 3339 text in UTC with
/// microseconds, so that they sort.
pub(super) const MIGRATIONS: &[Migration] = &[
    "
CREATE TABLE sources (
    source_id   TEXT PRIMARY KEY,
    author      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    location    TEXT NOT NULL,
    category    TEXT,
    interval_s  INTEGER NOT NULL,
    created_at  TEXT NOT NULL,
    cursor      TEXT NOT NULL DEFAULT 'null',
    last_sync   TEXT,
    next_run_at TEXT NOT NULL,
    deletions_confirmed INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE documents (
    document_id  TEXT PRIMARY KEY,
    revision     INTEGER NOT NULL,
    deleted      INTEGER NOT NULL DEFAULT 0,
    -- The newest revision that was a deletion: nothing indexed at or below it may be served.
    deleted_revision INTEGER NOT NULL DEFAULT 0,
    published    INTEGER NOT NULL DEFAULT 0,
    -- Order of changes, for the outbox.
    change       INTEGER NOT NULL,
    author       TEXT NOT NULL,
    category     TEXT NOT NULL,
    source_kind  TEXT NOT NULL,
    source_id    TEXT,
    scope        TEXT NOT NULL,
    identity     TEXT NOT NULL,
    natural_key  TEXT NOT NULL,
    title        TEXT,
    url          TEXT,
    published_at TEXT,
    observed_at  TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    media_type   TEXT NOT NULL,
    content      TEXT NOT NULL
);
CREATE INDEX documents_unpublished ON documents (change) WHERE published = 0;
CREATE UNIQUE INDEX documents_change ON documents (change);
CREATE INDEX documents_author ON documents (author, change);
CREATE INDEX documents_source ON documents (source_id) WHERE source_id IS NOT NULL;
CREATE INDEX documents_url ON documents (url) WHERE url IS NOT NULL;

CREATE TABLE ledger (
    document_id TEXT PRIMARY KEY,
    revision    INTEGER NOT NULL,
    chunks      INTEGER NOT NULL,
    model       TEXT NOT NULL,
    indexed_at  TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE progress (
    document_id TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    stage       TEXT NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT,
    at          TEXT NOT NULL,
    PRIMARY KEY (document_id, revision, stage)
) WITHOUT ROWID;
",
    "
-- registered, removing or removed: a removed source keeps its row, so that its generation does not begin anew.
ALTER TABLE sources ADD COLUMN state TEXT NOT NULL DEFAULT 'registered';
-- Grows with each removal and each registration after one.
ALTER TABLE sources ADD COLUMN generation INTEGER NOT NULL DEFAULT 1;
-- Of the lease with which it was claimed last.
ALTER TABLE sources ADD COLUMN claim_epoch INTEGER NOT NULL DEFAULT 0;
-- Syncs that were asked for, and the number of the one that came with a confirmation of deletions; 0 is none.
ALTER TABLE sources ADD COLUMN requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sources ADD COLUMN confirmation INTEGER NOT NULL DEFAULT 0;
UPDATE sources SET requests = 1, confirmation = 1 WHERE deletions_confirmed;
ALTER TABLE sources DROP COLUMN deletions_confirmed;
-- When the last sync ended.
ALTER TABLE sources ADD COLUMN finished_at TEXT;
UPDATE sources SET finished_at = json_extract(last_sync, '$.finished_at');
CREATE INDEX sources_next_run ON sources (next_run_at) WHERE state = 'registered';
CREATE INDEX sources_finished ON sources (finished_at) WHERE state = 'registered';
",
    "
-- When the newest revision was recorded, microseconds since 1970. What was a count of changes over all documents until now
-- is earlier than any time, and keeps its order.
ALTER TABLE documents RENAME COLUMN change TO changed_at;
DROP INDEX documents_unpublished;
DROP INDEX documents_change;
DROP INDEX documents_author;
DROP INDEX documents_source;
DROP INDEX documents_url;
CREATE INDEX documents_unpublished ON documents (changed_at, document_id) WHERE published = 0;
CREATE INDEX documents_newest ON documents (deleted, changed_at, document_id);
CREATE INDEX documents_author ON documents (author, deleted, changed_at, document_id);
CREATE INDEX documents_source ON documents (source_id, deleted, document_id) WHERE source_id IS NOT NULL;
CREATE INDEX documents_url ON documents (url, deleted, changed_at, document_id) WHERE url IS NOT NULL;
CREATE INDEX sources_listed ON sources (author, location, source_id) WHERE state <> 'removed';

-- With the first source or document of each; a row stays when these go.
CREATE TABLE authors (
    author        TEXT PRIMARY KEY,
    first_seen_at TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO authors
    SELECT author, min(at) FROM (
        SELECT author, observed_at AS at FROM documents UNION ALL SELECT author, created_at FROM sources)
    GROUP BY author;
",
    "
-- JSON: what the source's kind lets be set, and the names of its secrets.
ALTER TABLE sources ADD COLUMN settings TEXT NOT NULL DEFAULT 'null';
ALTER TABLE sources ADD COLUMN secret_names TEXT NOT NULL DEFAULT '[]';
-- Apart from the row that lists show. A JSON object of texts.
CREATE TABLE source_secrets (
    source_id TEXT PRIMARY KEY,
    secrets   TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE source_files (
    source_id   TEXT NOT NULL,
    name        TEXT NOT NULL,
    artifact    TEXT NOT NULL,
    bytes       INTEGER NOT NULL,
    uploaded_at TEXT NOT NULL,
    PRIMARY KEY (source_id, name)
) WITHOUT ROWID;
",
    "
-- JSON. Derived from the index: a row that is lost is made again.
CREATE TABLE calibrations (
    author      TEXT PRIMARY KEY,
    calibration TEXT NOT NULL
) WITHOUT ROWID;
",
];
