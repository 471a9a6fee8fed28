//! Registered sources.

use chrono::Utc;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use twin_schemas::{AuthorId, SourceId, SourceKind};
use twin_warehouse::{Claim, Error, NewSource, Page, SourcePosition, SourceRow};

use super::Failure;
use super::rows::{collect, json, json_text, one_more, parsed, time, time_text};

const COLUMNS: &str = "source_id, author, kind, location, category, interval_s, created_at, cursor, last_sync, \
     next_run_at, confirmation > 0, settings, secret_names";

pub(super) fn put(tx: &Connection, new: &NewSource) -> Result<SourceRow, Failure> {
    let id = SourceId::of(&new.author, &new.kind, &new.location);
    let now = time_text(Utc::now());
    tx.execute(
        "INSERT INTO sources (source_id, author, kind, location, category, interval_s, created_at, next_run_at, settings,
                              secret_names)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9)
         ON CONFLICT (source_id) DO UPDATE SET category = excluded.category, interval_s = excluded.interval_s,
             settings = excluded.settings, secret_names = excluded.secret_names,
             requests = requests + 1,
             next_run_at = min(next_run_at, excluded.next_run_at),
             -- After a removal, or in the midst of one, it is another source that only has the same id.
             generation = generation + (state <> 'registered'),
             created_at = iif(state = 'registered', created_at, excluded.created_at),
             cursor = iif(state = 'registered', cursor, 'null'),
             last_sync = iif(state = 'registered', last_sync, NULL),
             finished_at = iif(state = 'registered', finished_at, NULL),
             confirmation = iif(state = 'registered', confirmation, 0),
             state = 'registered'",
        params![
            id.to_string(),
            new.author.as_str(),
            new.kind.as_str(),
            new.location,
            new.category.map(|category| category.as_str()),
            new.interval_s.cast_signed(),
            now,
            json_text(&new.settings)?,
            json_text(&new.secret_names)?,
        ],
    )?;
    get(tx, id)?.ok_or(Failure::Port(Error::Stored { what: "source", problem: format!("{id} was just written") }))
}

pub(super) fn list(
    c: &Connection,
    author: Option<&AuthorId>,
    after: Option<&SourcePosition>,
    limit: usize,
) -> Result<Page<SourceRow, SourcePosition>, Failure> {
    let mut sql = format!("SELECT {COLUMNS} FROM sources WHERE state <> 'removed'");
    let mut values: Vec<Value> = Vec::new();
    if let Some(author) = author {
        sql += " AND author = ?";
        values.push(author.to_string().into());
    }
    if let Some(after) = after {
        sql += " AND (author, location, source_id) > (?, ?, ?)";
        let SourcePosition { author, location, source_id } = after;
        values.extend([author.to_string(), location.clone(), source_id.to_string()].map(Value::from));
    }
    sql += " ORDER BY author, location, source_id LIMIT ?";
    values.push(one_more(limit).into());
    let mut statement = c.prepare_cached(&sql)?;
    let listed = collect(&mut statement, params_from_iter(values), |row| {
        let row = source(row)?;
        let position = row.position();
        Ok((row, position))
    })?;
    Ok(Page::of(listed, limit))
}

pub(super) fn get(c: &Connection, id: SourceId) -> Result<Option<SourceRow>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM sources WHERE source_id = ?1 AND state <> 'removed'");
    let mut statement = c.prepare_cached(&sql)?;
    Ok(collect(&mut statement, [id.to_string()], source)?.pop())
}

fn source(row: &Row<'_>) -> Result<SourceRow, Failure> {
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
            settings: json("settings", &text(11)?)?,
            secret_names: json("names of secrets", &text(12)?)?,
        },
        created_at: time(&text(6)?)?,
        cursor: json("cursor", &text(7)?)?,
        last_sync: optional(8)?.map(|sync| json("last sync", &sync)).transpose()?,
        next_run_at: time(&text(9)?)?,
        deletions_confirmed: row.get(10)?,
    })
}

/// Its syncs are of an earlier generation from here on. The documents go next, and then the source.
pub(super) fn begin_removal(tx: &Connection, id: SourceId) -> Result<Option<Claim>, Failure> {
    let begin = "UPDATE sources SET state = 'removing', generation = generation + (state = 'registered')
         WHERE source_id = ?1 AND state <> 'removed'
         RETURNING generation, claim_epoch, requests";
    let claim = |row: &Row<'_>| {
        let number = |index: usize| row.get::<_, i64>(index).map(i64::unsigned_abs);
        Ok(Claim { source_id: id, generation: number(0)?, epoch: number(1)?, requests: number(2)? })
    };
    Ok(tx.query_row(begin, [id.to_string()], claim).optional()?)
}

pub(super) fn remove(tx: &Connection, removal: &Claim) -> Result<bool, Failure> {
    let removed = tx.execute(
        "UPDATE sources SET state = 'removed', cursor = 'null', last_sync = NULL, finished_at = NULL, confirmation = 0
         WHERE source_id = ?1 AND generation = ?2 AND state = 'removing'",
        params![removal.source_id.to_string(), removal.generation.cast_signed()],
    )?;
    Ok(removed > 0)
}
