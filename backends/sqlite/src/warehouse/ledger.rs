//! The ledger of indexed revisions, and how far each revision has come.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use twin_schemas::{AuthorId, DocumentId, Revision};

use super::Failure;
use super::rows::{collect, parsed, time, time_text};
use twin_warehouse::Error;
use twin_warehouse::{LedgerEntry, Progress, ProgressState, StageName, Totals};

pub(super) fn mark_indexed(tx: &Connection, entries: &[LedgerEntry]) -> Result<(), Failure> {
    let write = || -> Result<(), rusqlite::Error> {
        let mut upsert = tx.prepare_cached(
            "INSERT INTO ledger VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (document_id) DO UPDATE SET revision = excluded.revision, chunks = excluded.chunks,
                 model = excluded.model, indexed_at = excluded.indexed_at
             WHERE excluded.revision >= ledger.revision",
        )?;
        // What was noted of earlier revisions, and that this one was once dead-lettered, is of no more use.
        let mut forget = tx.prepare_cached(
            "DELETE FROM progress WHERE document_id = ?1 AND (revision < ?2 OR revision = ?2 AND state <> 'done')",
        )?;
        for entry in entries {
            let (id, revision) = (entry.document_id.to_string(), entry.revision.0.cast_signed());
            upsert.execute(params![id, revision, entry.chunks, entry.model, time_text(entry.indexed_at)])?;
            forget.execute(params![id, revision])?;
        }
        Ok(())
    };
    Ok(write()?)
}

pub(super) fn entries(c: &Connection, documents: &[DocumentId]) -> Result<HashMap<DocumentId, LedgerEntry>, Failure> {
    let mut statement =
        c.prepare_cached("SELECT document_id, revision, chunks, model, indexed_at FROM ledger WHERE document_id = ?1")?;
    let mut found = HashMap::new();
    for id in documents {
        if let Some(entry) = collect(&mut statement, [id.to_string()], entry)?.pop() {
            found.insert(*id, entry);
        }
    }
    Ok(found)
}

fn entry(row: &Row<'_>) -> Result<LedgerEntry, Failure> {
    let text = |index: usize| row.get::<_, String>(index);
    Ok(LedgerEntry {
        document_id: parsed("document id", &text(0)?)?,
        revision: Revision(row.get::<_, i64>(1)?.unsigned_abs()),
        chunks: row.get(2)?,
        model: text(3)?,
        indexed_at: time(&text(4)?)?,
    })
}

pub(super) fn live_revisions(
    c: &Connection,
    documents: &[DocumentId],
) -> Result<HashMap<DocumentId, Revision>, Failure> {
    let mut statement = c.prepare_cached(
        "SELECT l.revision FROM ledger l JOIN documents d USING (document_id)
             WHERE l.document_id = ?1 AND d.deleted = 0 AND l.revision > d.deleted_revision",
    )?;
    let mut live = HashMap::new();
    for id in documents {
        let revision = statement.query_row([id.to_string()], |row| row.get::<_, i64>(0)).optional()?;
        if let Some(revision) = revision {
            live.insert(*id, Revision(revision.unsigned_abs()));
        }
    }
    Ok(live)
}

pub(super) fn note_progress(tx: &Connection, progress: &[Progress]) -> Result<(), Failure> {
    let write = || -> Result<(), rusqlite::Error> {
        let mut statement = tx.prepare_cached(
            "INSERT INTO progress VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (document_id, revision, stage) DO UPDATE SET state = excluded.state,
                 reason = excluded.reason, at = excluded.at",
        )?;
        for note in progress {
            let (state, reason) = match &note.state {
                ProgressState::Done => ("done", None),
                ProgressState::Rejected { reason } => ("rejected", Some(reason)),
                ProgressState::Dead { reason } => ("dead", Some(reason)),
            };
            statement.execute(params![
                note.document_id.to_string(),
                note.revision.0.cast_signed(),
                note.stage.as_str(),
                state,
                reason,
                time_text(note.at),
            ])?;
        }
        Ok(())
    };
    Ok(write()?)
}

pub(super) fn progress(c: &Connection, document: DocumentId) -> Result<Vec<Progress>, Failure> {
    let mut statement =
        c.prepare_cached("SELECT revision, stage, state, reason, at FROM progress WHERE document_id = ?1")?;
    let mut notes = collect(&mut statement, [document.to_string()], |row| {
        let text = |index: usize| row.get::<_, String>(index);
        let reason: String = row.get::<_, Option<String>>(3)?.unwrap_or_default();
        Ok(Progress {
            document_id: document,
            revision: Revision(row.get::<_, i64>(0)?.unsigned_abs()),
            stage: stage(&text(1)?)?,
            state: state(&text(2)?, reason)?,
            at: time(&text(4)?)?,
        })
    })?;
    notes.sort_by_key(|note| (note.revision, note.stage));
    Ok(notes)
}

fn stage(text: &str) -> Result<StageName, Failure> {
    use StageName::{Chunked, Cleaned, Collected, Indexed, Published};
    [Collected, Published, Cleaned, Chunked, Indexed]
        .into_iter()
        .find(|stage| stage.as_str() == text)
        .ok_or_else(|| Failure::Port(Error::Stored { what: "stage", problem: format!("{text:?} is unknown") }))
}

fn state(text: &str, reason: String) -> Result<ProgressState, Failure> {
    match text {
        "done" => Ok(ProgressState::Done),
        "rejected" => Ok(ProgressState::Rejected { reason }),
        "dead" => Ok(ProgressState::Dead { reason }),
        other => Err(Failure::Port(Error::Stored { what: "progress", problem: format!("state {other:?} is unknown") })),
    }
}

/// The newest revision of `d` is neither indexed nor ended.
const IS_PENDING: &str = "coalesce(l.revision, 0) < d.revision AND NOT EXISTS (
    SELECT 1 FROM progress p WHERE p.document_id = d.document_id AND p.revision = d.revision AND p.state <> 'done')";

pub(super) fn totals(c: &Connection, author: Option<&AuthorId>) -> Result<Totals, Failure> {
    let ended = |state: &str| {
        format!(
            "EXISTS (SELECT 1 FROM progress p WHERE p.document_id = d.document_id AND p.revision = d.revision
                     AND p.state = '{state}')"
        )
    };
    let searchable = "d.deleted = 0 AND coalesce(l.revision, 0) > d.deleted_revision";
    let sql = format!(
        "SELECT count(*) FILTER (WHERE d.deleted = 0),
                count(*) FILTER (WHERE {searchable}),
                count(*) FILTER (WHERE d.deleted = 0 AND {}),
                count(*) FILTER (WHERE d.deleted = 0 AND {}),
                count(*) FILTER (WHERE {IS_PENDING}),
                coalesce(sum(l.chunks) FILTER (WHERE {searchable}), 0)
         FROM documents d LEFT JOIN ledger l USING (document_id){}",
        ended("rejected"),
        ended("dead"),
        if author.is_some() { " WHERE d.author = ?" } else { "" },
    );
    let mut statement = c.prepare_cached(&sql)?;
    let totals = statement.query_row(params_from_iter(author.map(AuthorId::as_str)), |row| {
        let count = |index: usize| row.get::<_, i64>(index).map(i64::unsigned_abs);
        Ok(Totals {
            documents: count(0)?,
            searchable: count(1)?,
            rejected: count(2)?,
            dead: count(3)?,
            pending: count(4)?,
            chunks: count(5)?,
        })
    })?;
    Ok(totals)
}
