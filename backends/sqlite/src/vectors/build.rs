//! The vectors of a generation that is being built.

use rusqlite::{Connection, OptionalExtension, Row, params};
use twin_schemas::{ContentHash, DocumentId, Revision};
use twin_vectors::{Coverage, Error, PendingChunk, PointKey};

use super::Failure;
use super::write::vector_bytes;

pub(super) fn pending(
    c: &Connection,
    table: &str,
    behind: Option<PointKey>,
    limit: usize,
) -> Result<Vec<PendingChunk>, Failure> {
    let (document, revision, ordinal) = match behind {
        Some(key) => (key.document_id.to_string(), key.revision.0.cast_signed(), i64::from(key.ordinal)),
        None => (String::new(), 0, 0),
    };
    let mut chunks = c.prepare_cached(
        "SELECT chunk_id, document_id, revision, ordinal, content_hash, text FROM chunks
         WHERE (document_id, revision, ordinal) > (?1, ?2, ?3) ORDER BY document_id, revision, ordinal",
    )?;
    // A left join would read the whole vector table.
    let mut has_vector = c.prepare_cached(&format!("SELECT 1 FROM {table} WHERE chunk_id = ?1"))?;
    let mut rows = chunks.query(params![document, revision, ordinal])?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        let chunk_id: i64 = row.get(0)?;
        if has_vector.query_row([chunk_id], |_| Ok(())).optional()?.is_none() {
            found.push(pending_chunk(row)?);
        }
    }
    Ok(found)
}

fn pending_chunk(row: &Row<'_>) -> Result<PendingChunk, Failure> {
    let unreadable = |problem: String| Failure::Port(Error::Stored { what: "document id", problem });
    let document_id: DocumentId = row.get::<_, String>(1)?.parse().map_err(|error| unreadable(format!("{error}")))?;
    let revision = Revision(row.get::<_, i64>(2)?.unsigned_abs());
    let key = PointKey { document_id, revision, ordinal: row.get(3)? };
    Ok(PendingChunk { key, content_hash: ContentHash::stored(row.get::<_, String>(4)?), text: row.get(5)? })
}

pub(super) fn fill(tx: &Connection, table: &str, vectors: &[(PendingChunk, Vec<f32>)]) -> Result<(), Failure> {
    let mut find = tx.prepare_cached(
        "SELECT chunk_id FROM chunks WHERE document_id = ?1 AND revision = ?2 AND ordinal = ?3 AND content_hash = ?4",
    )?;
    let mut remove = tx.prepare_cached(&format!("DELETE FROM {table} WHERE chunk_id = ?1"))?;
    let mut insert = tx.prepare_cached(&format!(
        "INSERT INTO {table}
         SELECT chunk_id, author, category, source_kind, coalesce(published_at, 0), ?2 FROM chunks WHERE chunk_id = ?1"
    ))?;
    for (chunk, vector) in vectors {
        let PointKey { document_id, revision, ordinal } = chunk.key;
        let key = params![document_id.to_string(), revision.0.cast_signed(), ordinal, chunk.content_hash.as_str()];
        // Gone, or another text by now.
        let Some(chunk_id) = find.query_row(key, |row| row.get::<_, i64>(0)).optional()? else { continue };
        remove.execute([chunk_id])?;
        insert.execute(params![chunk_id, vector_bytes(vector)])?;
    }
    Ok(())
}

/// A vector without a chunk does not exist: they are deleted together.
pub(super) fn coverage(c: &Connection, table: &str) -> Result<Coverage, Failure> {
    let count = |table: &str| -> Result<u64, Failure> {
        let sql = format!("SELECT count(*) FROM {table}");
        Ok(c.query_row(&sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs())
    };
    Ok(Coverage { filled: count(table)?, chunks: count("chunks")? })
}
