//! Documents: recording, retracting, listing, and the outbox's two queries.

use chrono::{DateTime, Utc};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use twin_schemas::{AuthorId, ContentHash, DocumentId, Revision, SourceId};
use twin_warehouse::{Claim, DocumentFilter, DocumentPosition, DocumentRow, Error, Known, Observation, Page, Recorded};

use super::rows::{DOCUMENT_COLUMNS, collect, document, one_more, parsed, time_text};
use super::schedule::is_claimed;
use super::{Failure, authors};

type Statement<T> = Result<T, rusqlite::Error>;

/// The writer runs one transaction at a time and takes the file's write lock at its start, so reading the newest
/// revision and writing the next is atomic, between processes too. So is looking at the claim.
pub(super) fn record(tx: &Connection, observation: &Observation) -> Result<Recorded, Failure> {
    if let Some(claim) = &observation.claim {
        fence(tx, claim)?;
    }
    let id = observation.key.id();
    let newest = newest(tx, id)?;
    let recorded = match &newest {
        None => Recorded::Created(Revision::FIRST),
        Some(newest) if newest.deleted => Recorded::Created(newest.revision.next()),
        Some(newest) if newest.content_hash == observation.content_hash.as_str() => {
            return Ok(Recorded::Unchanged(newest.revision));
        }
        Some(newest) => Recorded::Revised(newest.revision.next()),
    };
    if newest.is_none() {
        authors::note(tx, &observation.key.author, observation.observed_at)?;
    }
    write_revision(tx, id, recorded.revision(), observation)?;
    Ok(recorded)
}

pub(super) fn fence(tx: &Connection, claim: &Claim) -> Result<(), Failure> {
    if is_claimed(tx, claim)? { Ok(()) } else { Err(Failure::Port(Error::ClaimLost)) }
}

struct Newest {
    revision: Revision,
    deleted: bool,
    content_hash: String,
    source_id: Option<String>,
}

fn newest(tx: &Connection, id: DocumentId) -> Result<Option<Newest>, Failure> {
    let mut statement =
        tx.prepare_cached("SELECT revision, deleted, content_hash, source_id FROM documents WHERE document_id = ?1")?;
    let newest = statement
        .query_row([id.to_string()], |row| {
            Ok(Newest {
                revision: Revision(row.get::<_, i64>(0)?.unsigned_abs()),
                deleted: row.get(1)?,
                content_hash: row.get(2)?,
                source_id: row.get(3)?,
            })
        })
        .optional()?;
    Ok(newest)
}

/// Microseconds since 1970. Rows of before this was a time have a number that counts from 1: they come first.
fn now() -> i64 {
    Utc::now().timestamp_micros()
}

fn write_revision(tx: &Connection, id: DocumentId, revision: Revision, seen: &Observation) -> Statement<()> {
    tx.prepare_cached(
        "INSERT INTO documents (document_id, revision, changed_at, author, category, source_kind, source_id, scope,
                                identity, natural_key, title, url, published_at, observed_at, content_hash,
                                media_type, content)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
         ON CONFLICT (document_id) DO UPDATE SET
             revision = excluded.revision, changed_at = excluded.changed_at, deleted = 0, published = 0,
             category = excluded.category, source_id = excluded.source_id, natural_key = excluded.natural_key,
             title = excluded.title, url = excluded.url, published_at = excluded.published_at,
             observed_at = excluded.observed_at, content_hash = excluded.content_hash,
             media_type = excluded.media_type, content = excluded.content",
    )?
    .execute(params![
        id.to_string(),
        revision.0.cast_signed(),
        now(),
        seen.key.author.as_str(),
        seen.category.as_str(),
        seen.key.source_kind.as_str(),
        seen.claim.map(|claim| claim.source_id.to_string()),
        seen.key.scope,
        seen.key.identity,
        seen.natural_key,
        seen.title,
        seen.url,
        seen.published_at.map(time_text),
        time_text(seen.observed_at),
        seen.content_hash.as_str(),
        seen.media_type.as_str(),
        seen.content,
    ])?;
    Ok(())
}

pub(super) fn retract(tx: &Connection, id: DocumentId, at: DateTime<Utc>) -> Result<Option<Revision>, Failure> {
    let Some(newest) = newest(tx, id)?.filter(|newest| !newest.deleted) else { return Ok(None) };
    write_deletion(tx, id, newest.revision.next(), at).map(Some)
}

pub(super) fn retract_claimed(
    tx: &Connection,
    claim: &Claim,
    id: DocumentId,
    at: DateTime<Utc>,
) -> Result<Option<Revision>, Failure> {
    fence(tx, claim)?;
    let source_id = claim.source_id.to_string();
    let is_its_own = |newest: &Newest| !newest.deleted && newest.source_id.as_ref() == Some(&source_id);
    let Some(newest) = newest(tx, id)?.filter(is_its_own) else { return Ok(None) };
    write_deletion(tx, id, newest.revision.next(), at).map(Some)
}

fn write_deletion(tx: &Connection, id: DocumentId, revision: Revision, at: DateTime<Utc>) -> Result<Revision, Failure> {
    let write = || -> Statement<()> {
        tx.prepare_cached(
            "UPDATE documents SET revision = ?2, deleted = 1, deleted_revision = ?2, published = 0, changed_at = ?3,
                                  observed_at = ?4, content = ''
             WHERE document_id = ?1",
        )?
        .execute(params![id.to_string(), revision.0.cast_signed(), now(), time_text(at)])?;
        Ok(())
    };
    write()?;
    Ok(revision)
}

pub(super) fn known(
    c: &Connection,
    source: SourceId,
    after: Option<DocumentId>,
    limit: usize,
) -> Result<Page<Known, DocumentId>, Failure> {
    let mut statement = c.prepare_cached(
        "SELECT document_id, natural_key, identity, content_hash FROM documents
         WHERE source_id = ?1 AND deleted = 0 AND document_id > ?2 ORDER BY document_id LIMIT ?3",
    )?;
    // Before every id.
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let known = collect(&mut statement, params![source.to_string(), after, one_more(limit)], |row| {
        let text = |index: usize| row.get::<_, String>(index);
        let document_id: DocumentId = parsed("document id", &text(0)?)?;
        let known = Known {
            document_id,
            natural_key: text(1)?,
            identity: text(2)?,
            content_hash: ContentHash::stored(text(3)?),
        };
        Ok((known, document_id))
    })?;
    Ok(Page::of(known, limit))
}

pub(super) fn live_count(c: &Connection, author: &AuthorId) -> Result<u64, Failure> {
    let count: i64 =
        c.query_row("SELECT count(*) FROM documents WHERE author = ?1 AND deleted = 0", [author.as_str()], |row| {
            row.get(0)
        })?;
    Ok(count.unsigned_abs())
}

pub(super) fn get(c: &Connection, id: DocumentId) -> Result<Option<DocumentRow>, Failure> {
    let sql = format!("SELECT {DOCUMENT_COLUMNS}, content FROM documents WHERE document_id = ?1");
    let mut statement = c.prepare_cached(&sql)?;
    Ok(collect(&mut statement, [id.to_string()], document)?.pop())
}

pub(super) fn summaries(c: &Connection, ids: &[DocumentId]) -> Result<Vec<DocumentRow>, Failure> {
    let sql = format!("SELECT {DOCUMENT_COLUMNS}, '' FROM documents WHERE document_id = ?1");
    let mut statement = c.prepare_cached(&sql)?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(collect(&mut statement, [id.to_string()], document)?);
    }
    Ok(found)
}

pub(super) fn list(
    c: &Connection,
    filter: &DocumentFilter,
    before: Option<&DocumentPosition>,
    limit: usize,
) -> Result<Page<DocumentRow, DocumentPosition>, Failure> {
    // Only what is asked for is in the statement, so that each has an index that it goes by.
    let mut sql = format!("SELECT {DOCUMENT_COLUMNS}, '', changed_at FROM documents WHERE deleted = 0");
    let mut values: Vec<Value> = Vec::new();
    if let Some(author) = &filter.author {
        sql += " AND author = ?";
        values.push(author.to_string().into());
    }
    if let Some(url) = &filter.url {
        sql += " AND url = ?";
        values.push(url.clone().into());
    }
    if let Some(before) = before {
        sql += " AND (changed_at, document_id) < (?, ?)";
        values.push(before.changed_at.timestamp_micros().into());
        values.push(before.document_id.to_string().into());
    }
    sql += " ORDER BY changed_at DESC, document_id DESC LIMIT ?";
    values.push(one_more(limit).into());
    let mut statement = c.prepare_cached(&sql)?;
    let listed = collect(&mut statement, params_from_iter(values), |row| {
        let document = document(row)?;
        let position = DocumentPosition {
            changed_at: changed_at(row.get("changed_at")?)?,
            document_id: document.meta.document_id,
        };
        Ok((document, position))
    })?;
    Ok(Page::of(listed, limit))
}

fn changed_at(micros: i64) -> Result<DateTime<Utc>, Failure> {
    let unreadable = || Failure::Port(Error::Stored { what: "time", problem: format!("{micros} is no time") });
    DateTime::from_timestamp_micros(micros).ok_or_else(unreadable)
}

pub(super) fn unpublished(c: &Connection, limit: usize) -> Result<Vec<DocumentRow>, Failure> {
    let sql = format!(
        "SELECT {DOCUMENT_COLUMNS}, content FROM documents WHERE published = 0
         ORDER BY changed_at, document_id LIMIT ?1"
    );
    let mut statement = c.prepare_cached(&sql)?;
    collect(&mut statement, [i64::try_from(limit).unwrap_or(i64::MAX)], document)
}

pub(super) fn mark_published(tx: &Connection, revisions: &[(DocumentId, Revision)]) -> Result<(), Failure> {
    let mut statement = tx.prepare_cached(
        "UPDATE documents SET published = (revision = ?2) WHERE document_id = ?1 AND published <> (revision = ?2)",
    )?;
    for (id, revision) in revisions {
        statement.execute(params![id.to_string(), revision.0.cast_signed()])?;
    }
    Ok(())
}
