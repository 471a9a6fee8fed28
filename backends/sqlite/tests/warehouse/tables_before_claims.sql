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
