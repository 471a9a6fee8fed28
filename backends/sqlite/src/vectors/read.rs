use std::collections::HashMap;
use std::fmt::Display;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use twin_schemas::{Category, ContentHash, DocumentId, Revision};
use twin_text::words::is_stop_word;
use twin_vectors::{Error, Filter, Hit, RRF_K, SearchRequest, StoredVector, reciprocal_rank_fusion};

use super::Failure;
use super::write::vector_bytes;

/// Weights of title, headings and text in BM25.
const BM25_WEIGHTS: &str = "2.0, 1.5, 1.0";

/// Words of a question that are searched for, at most.
const MAX_WORDS: usize = 32;

/// Chunks that are ranked by words, about: those with the rarest words of the question. Ranking a chunk is most of what a
/// search costs. Of 200 questions of frequent words on 20,000 chunks, 499 of 500 of the ten best were those that ranking
/// all chunks finds, in half the time.
const RANKED: usize = 4_000;

pub(super) fn count(c: &Connection) -> Result<u64, Failure> {
    Ok(c.query_row("SELECT count(*) FROM chunks", [], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

pub(super) fn lowest_revisions(
    c: &Connection,
    behind: Option<DocumentId>,
    limit: usize,
) -> Result<Vec<(DocumentId, Revision)>, Failure> {
    let mut statement = c.prepare_cached(
        "SELECT document_id, min(revision) FROM chunks WHERE document_id > ?1
         GROUP BY document_id ORDER BY document_id LIMIT ?2",
    )?;
    // Before every id.
    let behind = behind.map(|id| id.to_string()).unwrap_or_default();
    let mut rows = statement.query(params![behind, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((document_id(row, 0)?, Revision(row.get::<_, i64>(1)?.unsigned_abs())));
    }
    Ok(found)
}

pub(super) fn vectors_of(c: &Connection, table: &str, documents: &[DocumentId]) -> Result<Vec<StoredVector>, Failure> {
    let mut statement = c.prepare_cached(&format!(
        "SELECT k.content_hash, v.embedding FROM chunks k JOIN {table} v USING (chunk_id) WHERE k.document_id = ?1"
    ))?;
    let mut vectors = Vec::new();
    for document in documents {
        let rows = statement.query_map([document.to_string()], |row| {
            Ok(StoredVector {
                content_hash: ContentHash::stored(row.get::<_, String>(0)?),
                vector: floats(&row.get::<_, Vec<u8>>(1)?),
            })
        })?;
        for row in rows {
            vectors.push(row?);
        }
    }
    Ok(vectors)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (values, _) = bytes.as_chunks::<4>();
    values.iter().map(|value| f32::from_le_bytes(*value)).collect()
}

pub(super) fn search(c: &Connection, table: &str, request: &SearchRequest) -> Result<Vec<Hit>, Failure> {
    let candidates = request.candidates.max(request.limit);
    let dense = by_meaning(c, table, request, candidates)?;
    let sparse = by_words(c, request, candidates)?;
    let similarities: HashMap<i64, f32> = dense.iter().copied().collect();
    let dense: Vec<i64> = dense.into_iter().map(|(id, _)| id).collect();
    let mut hits = Vec::with_capacity(request.limit);
    for (id, fused) in reciprocal_rank_fusion(&[dense, sparse], RRF_K).into_iter().take(request.limit) {
        let similarity = match similarities.get(&id) {
            Some(similarity) => *similarity,
            None => similarity(c, table, id, &request.vector)?,
        };
        hits.extend(hit(c, id, similarity, fused)?);
    }
    Ok(hits)
}

/// Chunks by cosine similarity, best first.
fn by_meaning(c: &Connection, table: &str, request: &SearchRequest, limit: usize) -> Result<Vec<(i64, f32)>, Failure> {
    let filter = &request.filter;
    let mut sql = format!("SELECT chunk_id, distance FROM {table} WHERE embedding MATCH ?1 AND k = ?2 AND author = ?3");
    let mut parameters: Vec<Value> = vec![
        vector_bytes(&request.vector).into(),
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
        filter.author.as_str().to_owned().into(),
    ];
    narrow(filter, "", &mut sql, &mut parameters);
    sql.push_str(" ORDER BY distance");
    let mut statement = c.prepare_cached(&sql)?;
    let rows =
        statement.query_map(params_from_iter(parameters), |row| Ok((row.get(0)?, 1.0 - row.get::<_, f32>(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Chunks by BM25 over title, headings and text, best first.
fn by_words(c: &Connection, request: &SearchRequest, limit: usize) -> Result<Vec<i64>, Failure> {
    let words = words(&request.text);
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let telling = telling_words(c, &words, limit)?;
    let found = ranked(c, &request.filter, &words, &telling, limit)?;
    if found.len() < limit && telling.len() < words.len() {
        // Too few of the chunks with these words are the author's, or pass the filter.
        return ranked(c, &request.filter, &words, &words, limit);
    }
    Ok(found)
}

/// Chunks that have any of the `telling` words, ranked by all the `words`.
fn ranked(
    c: &Connection,
    filter: &Filter,
    words: &[String],
    telling: &[String],
    limit: usize,
) -> Result<Vec<i64>, Failure> {
    // The plus keeps SQLite from going from the author's chunks to their words.
    let mut sql = String::from(
        "SELECT k.chunk_id FROM chunk_words w JOIN chunks k ON k.chunk_id = w.rowid
         WHERE chunk_words MATCH ?1 AND +k.author = ?2",
    );
    let mut parameters: Vec<Value> = vec![any_of(words).into(), filter.author.as_str().to_owned().into()];
    if telling.len() < words.len() {
        parameters.push(any_of(telling).into());
        // The plus keeps SQLite from asking the index for one row after the other.
        sql.push_str(" AND +w.rowid IN (SELECT rowid FROM chunk_words WHERE chunk_words MATCH ?3)");
    }
    narrow(filter, "k.", &mut sql, &mut parameters);
    parameters.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
    sql.push_str(&format!(" ORDER BY bm25(chunk_words, {BM25_WEIGHTS}) LIMIT ?{}", parameters.len()));
    let mut statement = c.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(parameters), |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The rarest of the words, until `enough` and about [`RANKED`] chunks have one of them. A chunk without any of them, which has only
/// frequent words of the question, is hardly ever among the best: a word tells the more the rarer it is.
fn telling_words(c: &Connection, words: &[String], enough: usize) -> Result<Vec<String>, Failure> {
    let mut counted = Vec::with_capacity(words.len());
    let mut statement =
        c.prepare_cached("SELECT count(*) FROM (SELECT 1 FROM chunk_words WHERE chunk_words MATCH ?1 LIMIT ?2)")?;
    for word in words {
        // Beyond the limit it does not matter how many there are.
        let chunks: i64 = statement.query_row(params![quoted(word), RANKED as i64 + 1], |row| row.get(0))?;
        counted.push((chunks.unsigned_abs() as usize, word));
    }
    counted.sort_by_key(|(chunks, _)| *chunks);
    let (mut telling, mut ranked) = (Vec::new(), 0);
    for (chunks, word) in counted {
        if ranked >= enough && ranked + chunks > RANKED {
            break;
        }
        ranked += chunks;
        telling.push(word.clone());
    }
    Ok(telling)
}

/// Appends the filter's conditions beyond the author.
fn narrow(filter: &Filter, table: &str, sql: &mut String, parameters: &mut Vec<Value>) {
    let mut add = |condition: &str, value: Value| {
        parameters.push(value);
        sql.push_str(&format!(" AND {table}{condition} ?{}", parameters.len()));
    };
    if let Some(category) = filter.category {
        add("category =", category.as_str().to_owned().into());
    }
    if let Some(kind) = &filter.source_kind {
        add("source_kind =", kind.as_str().to_owned().into());
    }
    if let Some(after) = filter.published_after {
        add("published_at >=", after.timestamp().into());
    }
    if let Some(before) = filter.published_before {
        add("published_at <", before.timestamp().into());
        // A document of unknown date is not before anything.
        add("published_at >", 0.into());
    }
}

/// The question's words, each once, without those that tell nothing: they would rank by length alone and cost the most.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let word = word.to_lowercase();
        if !is_stop_word(&word) && !words.contains(&word) && words.len() < MAX_WORDS {
            words.push(word);
        }
    }
    words
}

/// An expression of FTS5 that chunks with any of the words match.
fn any_of(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" OR ")
}

/// A word so that nothing in it is an operator of FTS5. It has letters and digits only.
fn quoted(word: &str) -> String {
    format!("\"{word}\"")
}

fn similarity(c: &Connection, table: &str, chunk_id: i64, vector: &[f32]) -> Result<f32, Failure> {
    let distance: Option<f32> = c
        .prepare_cached(&format!("SELECT vec_distance_cosine(embedding, ?2) FROM {table} WHERE chunk_id = ?1"))?
        .query_row(params![chunk_id, vector_bytes(vector)], |row| row.get(0))
        .optional()?;
    distance.map(|distance| 1.0 - distance).ok_or_else(|| {
        Failure::Port(Error::Stored { what: "chunk", problem: format!("chunk {chunk_id} has words and no vector") })
    })
}

fn hit(c: &Connection, chunk_id: i64, similarity: f32, fused: f64) -> Result<Option<Hit>, Failure> {
    let mut statement = c.prepare_cached(
        "SELECT document_id, revision, ordinal, natural_key, title, url, category, heading_path, text
         FROM chunks WHERE chunk_id = ?1",
    )?;
    let mut rows = statement.query([chunk_id])?;
    rows.next()?.map(|row| read_hit(row, similarity, fused)).transpose()
}

fn unreadable(what: &'static str, problem: impl Display) -> Failure {
    Failure::Port(Error::Stored { what, problem: problem.to_string() })
}

pub(super) fn document_id(row: &Row<'_>, column: usize) -> Result<DocumentId, Failure> {
    row.get::<_, String>(column)?.parse().map_err(|error| unreadable("document id", error))
}

pub(super) fn revision(row: &Row<'_>, column: usize) -> Result<Revision, Failure> {
    Ok(Revision(row.get::<_, i64>(column)?.unsigned_abs()))
}

pub(super) fn heading_path(row: &Row<'_>, column: usize) -> Result<Vec<String>, Failure> {
    serde_json::from_str(&row.get::<_, String>(column)?).map_err(|error| unreadable("heading path", error))
}

pub(super) fn category(row: &Row<'_>, column: usize) -> Result<Category, Failure> {
    row.get::<_, String>(column)?.parse().map_err(|error| unreadable("category", error))
}

fn read_hit(row: &Row<'_>, similarity: f32, fused: f64) -> Result<Hit, Failure> {
    Ok(Hit {
        document_id: document_id(row, 0)?,
        revision: revision(row, 1)?,
        ordinal: row.get(2)?,
        natural_key: row.get(3)?,
        title: row.get(4)?,
        url: row.get(5)?,
        category: category(row, 6)?,
        heading_path: heading_path(row, 7)?,
        text: row.get(8)?,
        similarity,
        fused,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_question_is_an_operator() {
        let found = words("What is NEAR(\"x\" OR title:y)* ?");
        assert_eq!(any_of(&found), "\"near\" OR \"x\" OR \"title\" OR \"y\"");
        assert!(words("what is the ?").is_empty());
    }

    #[test]
    fn the_rarest_words_decide_which_chunks_are_ranked() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE VIRTUAL TABLE chunk_words USING fts5(title, headings, text)").unwrap();
        let mut insert = connection.prepare("INSERT INTO chunk_words VALUES ('', '', ?1)").unwrap();
        for number in 0..=RANKED {
            let rare = if number % 100 == 0 { "rare" } else { "" };
            let middling = if number % 2 == 0 { "middling" } else { "" };
            insert.execute([format!("common {middling} {rare}")]).unwrap();
        }
        let telling = |text| telling_words(&connection, &words(text), 10).unwrap();
        assert_eq!(telling("common middling rare missing"), ["missing", "rare", "middling"]);
        // There must be something to rank.
        assert_eq!(telling("common missing"), ["missing", "common"]);
    }
}
