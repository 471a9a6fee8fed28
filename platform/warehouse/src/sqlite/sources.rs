//! Registered sources.

use chrono::{DateTime, Utc};
use twin_schemas::{AuthorId, SourceId, SourceKind};
use twin_sqlite::rusqlite::{Connection, Row, params};

use super::rows::{collect, json, json_text, parsed, time, time_text};
use crate::Error;
use crate::model::{LastSync, NewSource, SourceRow};

const COLUMNS: &str = "source_id, author, kind, location, category, interval_s, created_at, cursor, last_sync, \
     next_run_at, deletions_confirmed";

pub(super) fn put(tx: &Connection, new: &NewSource) -> Result<SourceRow, Error> {
    let id = SourceId::of(&new.author, &new.kind, &new.location);
    let now = time_text(Utc::now());
    tx.execute(
        "INSERT INTO sources (source_id, author, kind, location, category, interval_s, created_at, next_run_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
         ON CONFLICT (source_id) DO UPDATE SET category = excluded.category, interval_s = excluded.interval_s,
             next_run_at = min(next_run_at, excluded.next_run_at)",
        params![
            id.to_string(),
            new.author.as_str(),
            new.kind.as_str(),
            new.location,
            new.category.map(|category| category.as_str()),
            new.interval_s.cast_signed(),
            now,
        ],
    )?;
    get(tx, id)?.ok_or(Error::Stored { what: "source", problem: format!("{id} was just written") })
}

pub(super) fn list(c: &Connection, author: Option<&AuthorId>) -> Result<Vec<SourceRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM sources WHERE ?1 IS NULL OR author = ?1 ORDER BY author, location");
    let mut statement = c.prepare_cached(&sql)?;
    collect(&mut statement, [author.map(AuthorId::as_str)], source)
}

pub(super) fn get(c: &Connection, id: SourceId) -> Result<Option<SourceRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM sources WHERE source_id = ?1");
    let mut statement = c.prepare_cached(&sql)?;
    Ok(collect(&mut statement, [id.to_string()], source)?.pop())
}

fn source(row: &Row<'_>) -> Result<SourceRow, Error> {
    let text = |index: usize| row.get::<_, String>(index);
    let optional = |index: usize| row.get::<_, Option<String>>(index);
    Ok(SourceRow {
        id: parsed("source id", &text(0)?)?,
        source: NewSource {
            author: parsed("author", &text(1)?)?,
            kind: SourceKind::new(text(2)?),
            location: text(3)?,
            category: optional(4)?.map(|name| parsed("category", &name)).transpose()?,
            interval_s: row.get::<_, i64>(5)?.unsigned_abs(),
        },
        created_at: time(&text(6)?)?,
        cursor: json("cursor", &text(7)?)?,
        last_sync: optional(8)?.map(|sync| json("last sync", &sync)).transpose()?,
        next_run_at: time(&text(9)?)?,
        deletions_confirmed: row.get(10)?,
    })
}

pub(super) fn remove(tx: &Connection, id: SourceId) -> Result<bool, Error> {
    let removed = tx.execute("DELETE FROM sources WHERE source_id = ?1", [id.to_string()])?;
    Ok(removed > 0)
}

/// A sync that was asked for while this one ran (`next_run_at` moved back to a time after its start) still comes. A time
/// that is yet to come is none that was asked for: it stood there before a clock was put back.
pub(super) fn finish_sync(
    tx: &Connection,
    id: SourceId,
    sync: &LastSync,
    cursor: &serde_json::Value,
    next_run_at: DateTime<Utc>,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE sources SET last_sync = ?2, cursor = ?3,
             next_run_at = CASE WHEN next_run_at > ?5 AND next_run_at <= ?6 THEN next_run_at ELSE ?4 END,
             deletions_confirmed =
                 CASE WHEN next_run_at > ?5 AND next_run_at <= ?6 THEN deletions_confirmed ELSE 0 END
         WHERE source_id = ?1",
        params![
            id.to_string(),
            json_text(sync)?,
            json_text(cursor)?,
            time_text(next_run_at),
            time_text(sync.started_at),
            time_text(Utc::now()),
        ],
    )?;
    Ok(())
}

pub(super) fn request_sync(tx: &Connection, id: SourceId, confirm_deletions: bool) -> Result<bool, Error> {
    let updated = tx.execute(
        "UPDATE sources SET next_run_at = ?2, deletions_confirmed = max(deletions_confirmed, ?3)
             WHERE source_id = ?1",
        params![id.to_string(), time_text(Utc::now()), confirm_deletions],
    )?;
    Ok(updated > 0)
}
