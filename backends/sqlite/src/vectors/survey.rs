//! What an author's chunks are like as a whole: how frequent words are in them, and a sample.

use rusqlite::{Connection, params};
use twin_schemas::{AuthorId, Category};
use twin_vectors::{FREQUENT, Frequencies, SampledChunk};

use super::Failure;
use super::read::{category, document_id, heading_path, revision};

pub(super) fn frequencies(c: &Connection, author: &AuthorId, words: &[String]) -> Result<Frequencies, Failure> {
    let chunks: i64 = c
        .prepare_cached("SELECT count(*) FROM chunks WHERE author = ?1")?
        .query_row([author.as_str()], |row| row.get(0))?;
    // From the words to the chunks: the other way round, all of an author's chunks would be looked at for each word.
    let mut count = c.prepare_cached(
        "SELECT count(*) FROM (
             SELECT 1 FROM chunk_words w CROSS JOIN chunks k INDEXED BY chunks_author
                 ON k.chunk_id = w.rowid AND k.author = ?2
             WHERE chunk_words MATCH ?1 LIMIT ?3)",
    )?;
    let mut having = Vec::with_capacity(words.len());
    for word in words {
        let counted: i64 =
            count.query_row(params![quoted(word), author.as_str(), FREQUENT.cast_signed()], |row| row.get(0))?;
        having.push(counted.unsigned_abs());
    }
    Ok(Frequencies { chunks: chunks.unsigned_abs(), having })
}

/// A text as a string of FTS5, in which nothing is an operator.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

pub(super) fn sample(
    c: &Connection,
    author: &AuthorId,
    categories: &[Category],
    limit: usize,
) -> Result<Vec<SampledChunk>, Failure> {
    let mut ids = Vec::new();
    let mut listed = c.prepare_cached("SELECT chunk_id, category FROM chunks WHERE author = ?1 ORDER BY chunk_id")?;
    let mut rows = listed.query([author.as_str()])?;
    while let Some(row) = rows.next()? {
        let of_chunk = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        if categories.iter().any(|wanted| wanted.as_str() == of_chunk) {
            ids.push(row.get::<_, i64>(0)?);
        }
    }
    let taken = limit.min(ids.len());
    let spread = (0..taken).map(|number| ids[number * ids.len() / taken]);
    let mut chunk = c.prepare_cached(
        "SELECT document_id, revision, natural_key, title, category, heading_path, text FROM chunks WHERE chunk_id = ?1",
    )?;
    let mut sample = Vec::with_capacity(taken);
    for id in spread {
        let mut rows = chunk.query([id])?;
        if let Some(row) = rows.next()? {
            sample.push(SampledChunk {
                document_id: document_id(row, 0)?,
                revision: revision(row, 1)?,
                natural_key: row.get(2)?,
                title: row.get(3)?,
                category: category(row, 4)?,
                heading_path: heading_path(row, 5)?,
                text: row.get(6)?,
            });
        }
    }
    Ok(sample)
}
