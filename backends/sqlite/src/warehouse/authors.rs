//! Authors: a row with the first source or document of each.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, params};
use twin_schemas::AuthorId;
use twin_warehouse::{AuthorRow, Page};

use super::Failure;
use super::rows::{collect, one_more, parsed, time, time_text};

/// Notes an author who may be new.
pub(super) fn note(tx: &Connection, author: &AuthorId, seen_at: DateTime<Utc>) -> Result<(), Failure> {
    tx.prepare_cached("INSERT INTO authors (author, first_seen_at) VALUES (?1, ?2) ON CONFLICT (author) DO NOTHING")?
        .execute(params![author.as_str(), time_text(seen_at)])?;
    Ok(())
}

pub(super) fn get(c: &Connection, author: &AuthorId) -> Result<Option<AuthorRow>, Failure> {
    let mut statement = c.prepare_cached("SELECT author, first_seen_at FROM authors WHERE author = ?1")?;
    Ok(collect(&mut statement, [author.as_str()], read)?.pop())
}

pub(super) fn list(
    c: &Connection,
    after: Option<&AuthorId>,
    limit: usize,
) -> Result<Page<AuthorRow, AuthorId>, Failure> {
    let mut statement = c.prepare_cached(
        "SELECT author, first_seen_at FROM authors a
         WHERE author > ?1
           AND (EXISTS (SELECT 1 FROM documents d WHERE d.author = a.author AND d.deleted = 0)
                OR EXISTS (SELECT 1 FROM sources s WHERE s.author = a.author AND s.state <> 'removed'))
         ORDER BY author LIMIT ?2",
    )?;
    // Before every name.
    let after = after.map_or("", AuthorId::as_str);
    let listed = collect(&mut statement, params![after, one_more(limit)], |row| {
        let row = read(row)?;
        let name = row.author.clone();
        Ok((row, name))
    })?;
    Ok(Page::of(listed, limit))
}

fn read(row: &Row<'_>) -> Result<AuthorRow, Failure> {
    let text = |index: usize| row.get::<_, String>(index);
    Ok(AuthorRow { author: parsed("author", &text(0)?)?, first_seen_at: time(&text(1)?)? })
}
