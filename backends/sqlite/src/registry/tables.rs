use crate::Migration;

/// Ids are stored as text and times as RFC 3339 text in UTC with microseconds, so that they sort and any tool reads them.
pub(super) const MIGRATIONS: &[Migration] = &[
    "
CREATE TABLE datasets (
    dataset          TEXT PRIMARY KEY,
    author           TEXT NOT NULL,
    number           INTEGER NOT NULL,
    parent           TEXT,
    manifest         TEXT NOT NULL,
    training_samples INTEGER NOT NULL,
    counts           TEXT NOT NULL,
    reason           TEXT NOT NULL,
    created_at       TEXT NOT NULL,
    UNIQUE (author, number)
) WITHOUT ROWID;

-- Which documents a version holds. One that was deleted later stays here with the time of its deletion.
CREATE TABLE dataset_members (
    dataset     TEXT NOT NULL,
    document_id TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    deleted_at  TEXT,
    PRIMARY KEY (dataset, document_id)
) WITHOUT ROWID;
CREATE INDEX dataset_members_document ON dataset_members (document_id);

CREATE TABLE freeze_requests (
    author       TEXT PRIMARY KEY,
    requested_by TEXT NOT NULL,
    requested_at TEXT NOT NULL,
    -- What came of it; none while it is open.
    outcome      TEXT
) WITHOUT ROWID;

CREATE TABLE jobs (
    job              TEXT PRIMARY KEY,
    author           TEXT NOT NULL,
    dataset          TEXT NOT NULL,
    base             TEXT NOT NULL,
    recipe           TEXT NOT NULL,
    sweep            TEXT,
    code_version     TEXT NOT NULL,
    state            TEXT NOT NULL,
    reason           TEXT,
    attempts         INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    progress         TEXT,
    created_at       TEXT NOT NULL,
    started_at       TEXT,
    ended_at         TEXT,
    model            TEXT
) WITHOUT ROWID;
CREATE INDEX jobs_open ON jobs (created_at) WHERE state IN ('queued', 'running');

CREATE TABLE run_metrics (
    job   TEXT NOT NULL,
    name  TEXT NOT NULL,
    step  INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (job, name, step)
) WITHOUT ROWID;

-- The recipe of an author's later jobs, where a sweep has found one or a person has set one.
CREATE TABLE recipes (
    author TEXT PRIMARY KEY,
    recipe TEXT NOT NULL,
    origin TEXT NOT NULL,
    set_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE models (
    model      TEXT PRIMARY KEY,
    author     TEXT NOT NULL,
    number     INTEGER NOT NULL,
    job        TEXT NOT NULL UNIQUE,
    dataset    TEXT NOT NULL,
    base       TEXT NOT NULL,
    manifest   TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (author, number)
) WITHOUT ROWID;

CREATE TABLE evaluations (
    model      TEXT PRIMARY KEY,
    state      TEXT NOT NULL,
    reason     TEXT,
    attempts   INTEGER NOT NULL DEFAULT 0,
    verdict    TEXT,
    report     TEXT,
    page       TEXT,
    created_at TEXT NOT NULL,
    ended_at   TEXT
) WITHOUT ROWID;

CREATE TABLE decisions (
    decision   INTEGER PRIMARY KEY AUTOINCREMENT,
    author     TEXT NOT NULL,
    model      TEXT,
    action     TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    why        TEXT NOT NULL,
    at         TEXT NOT NULL
);

CREATE TABLE deployments (
    author     TEXT NOT NULL,
    number     INTEGER NOT NULL,
    -- None: the base model.
    model      TEXT,
    state      TEXT NOT NULL,
    detail     TEXT,
    at         TEXT NOT NULL,
    settled_at TEXT,
    PRIMARY KEY (author, number)
) WITHOUT ROWID;

CREATE TABLE registry_outbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    stage    TEXT NOT NULL,
    topic    TEXT NOT NULL,
    key      TEXT NOT NULL,
    subject  TEXT NOT NULL,
    payload  TEXT NOT NULL,
    published INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX registry_outbox_open ON registry_outbox (sequence) WHERE published = 0;
",
    "ALTER TABLE freeze_requests ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;",
    // From here on an author's steps are what decides. What the tables above hold is made the first step of each author
    // by `import`, which then removes them; `dataset_members` and `run_metrics` stay.
    "
CREATE TABLE registry_steps (
    sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
    author    TEXT NOT NULL,
    number    INTEGER NOT NULL,
    step      TEXT NOT NULL,
    event     TEXT,
    -- Null: there is no event. 0: it is not in the log yet.
    published INTEGER,
    UNIQUE (author, number)
);
CREATE INDEX registry_steps_open ON registry_steps (sequence) WHERE published = 0;

-- Made of the steps, for lists and look-ups.
CREATE TABLE registry_rows (
    kind   TEXT NOT NULL,
    id     TEXT NOT NULL,
    author TEXT NOT NULL,
    state  TEXT NOT NULL,
    at     TEXT NOT NULL,
    step   INTEGER NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX registry_rows_newest ON registry_rows (kind, at, id);
CREATE INDEX registry_rows_author ON registry_rows (kind, author, at, id);
CREATE INDEX registry_rows_state ON registry_rows (kind, state, at, id);

CREATE TABLE job_progress (
    job      TEXT PRIMARY KEY,
    progress TEXT NOT NULL
) WITHOUT ROWID;
",
    "
-- Whose progress it is, so that what comes late replaces nothing newer. 0: an earlier version did not say.
ALTER TABLE job_progress ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job_progress ADD COLUMN step INTEGER NOT NULL DEFAULT 0;
",
    "
-- How much of a document is in a version: an earlier one noted only those of which something is, and not how much.
ALTER TABLE dataset_members ADD COLUMN passages INTEGER NOT NULL DEFAULT 1;
-- Which part of the version it is in, and what decided that, as JSON. Null: an earlier version did not say.
ALTER TABLE dataset_members ADD COLUMN split TEXT;
ALTER TABLE dataset_members ADD COLUMN split_rule TEXT;
",
];
