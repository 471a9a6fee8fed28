use rusqlite::{Connection, OptionalExtension, params};
use twin_schemas::{DocumentId, Revision};
use twin_vectors::{Error, Point};

use super::Failure;

/// Writes into the table of the active generation. In that of the one being built the points have no vector.
pub(super) fn upsert(tx: &Connection, active: &str, building: Option<&str>, points: &[Point]) -> Result<(), Failure> {
    for point in points {
        let key =
            params![point.meta.document_id.to_string(), point.meta.revision.0.cast_signed(), point.chunk.ordinal,];
        let existing: Option<i64> = tx
            .prepare_cached("SELECT chunk_id FROM chunks WHERE document_id = ?1 AND revision = ?2 AND ordinal = ?3")?
            .query_row(key, |row| row.get(0))
            .optional()?;
        if let Some(chunk_id) = existing {
            delete(tx, active, building, chunk_id)?;
        }
        insert(tx, active, point)?;
    }
    Ok(())
}

fn insert(tx: &Connection, table: &str, point: &Point) -> Result<(), Failure> {
    let (meta, chunk) = (&point.meta, &point.chunk);
    let headings = serde_json::to_string(&chunk.heading_path)
        .map_err(|error| Failure::Port(Error::Stored { what: "heading path", problem: error.to_string() }))?;
    let published_at = meta.published_at.map(|time| time.timestamp());
    tx.prepare_cached(
        "INSERT INTO chunks (document_id, revision, ordinal, author, category, source_kind, natural_key, title, url,
             published_at, heading_path, text, span_start, span_end, token_count, content_hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?
    .execute(params![
        meta.document_id.to_string(),
        meta.revision.0.cast_signed(),
        chunk.ordinal,
        meta.author.as_str(),
        meta.category.as_str(),
        meta.source_kind.as_str(),
        meta.natural_key,
        meta.title,
        meta.url,
        published_at,
        headings,
        chunk.text,
        chunk.span.start.cast_signed(),
        chunk.span.end.cast_signed(),
        chunk.token_count,
        chunk.content_hash.as_str(),
    ])?;
    let chunk_id = tx.last_insert_rowid();
    tx.prepare_cached("INSERT INTO chunk_words (rowid, title, headings, text) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![chunk_id, meta.title, searchable_headings(point), chunk.text])?;
    tx.prepare_cached(&format!("INSERT INTO {table} VALUES (?1, ?2, ?3, ?4, ?5, ?6)"))?.execute(params![
        chunk_id,
        meta.author.as_str(),
        meta.category.as_str(),
        meta.source_kind.as_str(),
        published_at.unwrap_or(0),
        vector_bytes(&point.vector),
    ])?;
    Ok(())
}

/// Headings, and the document's name with its separators as spaces: people search for file names.
fn searchable_headings(point: &Point) -> String {
    let name = point.meta.natural_key.replace(['/', '_', '-', '.'], " ");
    format!("{} {name}", point.chunk.heading_path.join(" "))
}

/// A vector as sqlite-vec stores it: f32, little endian.
pub(super) fn vector_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Deletes a chunk and its vectors, of the generation being built too: its number may be given to another chunk.
fn delete(tx: &Connection, active: &str, building: Option<&str>, chunk_id: i64) -> Result<(), Failure> {
    for table in [Some(active), building].into_iter().flatten() {
        tx.prepare_cached(&format!("DELETE FROM {table} WHERE chunk_id = ?1"))?.execute([chunk_id])?;
    }
    for sql in ["DELETE FROM chunk_words WHERE rowid = ?1", "DELETE FROM chunks WHERE chunk_id = ?1"] {
        tx.prepare_cached(sql)?.execute([chunk_id])?;
    }
    Ok(())
}

pub(super) fn delete_below(
    tx: &Connection,
    active: &str,
    building: Option<&str>,
    documents: &[(DocumentId, Revision)],
) -> Result<(), Failure> {
    let mut find = tx.prepare_cached("SELECT chunk_id FROM chunks WHERE document_id = ?1 AND revision < ?2")?;
    for (document, revision) in documents {
        let ids: Vec<i64> = find
            .query_map(params![document.to_string(), revision.0.cast_signed()], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        ids.into_iter().try_for_each(|id| delete(tx, active, building, id))?;
    }
    Ok(())
}
