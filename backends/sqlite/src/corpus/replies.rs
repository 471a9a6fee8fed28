//! What models have said of documents: a row for each reply.

use rusqlite::{Connection, OptionalExtension, params};
use twin_corpus::{Reply, ReplyKey};
use twin_schemas::{AuthorId, DocumentId};

use super::Failure;

pub(super) fn get(c: &Connection, author: &AuthorId, key: &ReplyKey) -> Result<Option<String>, Failure> {
    let mut statement = c.prepare_cached("SELECT reply FROM model_replies WHERE author = ?1 AND key = ?2")?;
    Ok(statement.query_row([author.as_str(), &key.0], |row| row.get(0)).optional()?)
}

pub(super) fn keep(tx: &Connection, reply: &Reply) -> Result<String, Failure> {
    // Updated though nothing but the mark changes, so that the row that is kept is told.
    let sql = "INSERT INTO model_replies (author, key, document_id, used, reply) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (author, key) DO UPDATE SET used = max(model_replies.used, excluded.used) RETURNING reply";
    let Reply { author, key, document_id, version, text } = reply;
    let values = params![author.as_str(), key.0, document_id.to_string(), version, text];
    Ok(tx.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
}

pub(super) fn mark_used(tx: &Connection, author: &AuthorId, keys: &[ReplyKey], version: u32) -> Result<(), Failure> {
    let sql = "UPDATE model_replies SET used = ?3 WHERE author = ?1 AND key = ?2 AND used < ?3";
    let mut statement = tx.prepare_cached(sql)?;
    for key in keys {
        statement.execute(params![author.as_str(), key.0, version])?;
    }
    Ok(())
}

pub(super) fn forget_unused(tx: &Connection, author: &AuthorId, most: usize) -> Result<u64, Failure> {
    let sql = "DELETE FROM model_replies WHERE author = ?1 AND key IN (
                   SELECT key FROM model_replies WHERE author = ?1 ORDER BY used DESC, key DESC LIMIT -1 OFFSET ?2)";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    Ok(tx.prepare_cached(sql)?.execute(params![author.as_str(), most])? as u64)
}

/// Removes what was said of a document that is deleted.
pub(super) fn forget_deleted(tx: &Connection, document: DocumentId) -> Result<(), Failure> {
    let sql = "DELETE FROM model_replies WHERE document_id = ?1
               AND EXISTS (SELECT 1 FROM dataset_documents d WHERE d.document_id = ?1 AND d.deleted = 1)";
    tx.prepare_cached(sql)?.execute([document.to_string()])?;
    Ok(())
}
