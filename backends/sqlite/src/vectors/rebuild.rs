//! Vectors of another model, built beside those that are searched.
//!
//! Searches and writes go on: a chunk that is written meanwhile lacks a vector of the new model until the builder comes
//! round to it, and one that is deleted loses both. The switch is one transaction that happens only if no chunk lacks a
//! vector. What a killed builder has done is kept, and the next one goes on from there.

use crate::Database;
use rusqlite::{Connection, OptionalExtension, params};
use twin_schemas::ContentHash;

use super::Failure;
use super::tables::{self, Generation};
use super::write::vector_bytes;
use twin_vectors::Error;
use twin_vectors::IndexModel;

/// A generation of vectors under construction. There is at most one builder at a time; the caller sees to that.
pub struct Rebuild {
    database: Database,
    generation: Generation,
}

/// A chunk that has no vector of the new model yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    chunk_id: i64,
    content_hash: ContentHash,
    /// The chunk's text.
    pub text: String,
}

impl Rebuild {
    /// Begins, or goes on with what an earlier builder for this model has left; what was left for a third model is
    /// deleted. None if the index is of this model already.
    pub async fn begin(database: Database, model: IndexModel) -> Result<Option<Self>, Error> {
        let generation = database.write(move |tx| begin(tx, &model)).await?;
        Ok(generation.map(|generation| Self { database, generation }))
    }

    /// The next chunks without a vector, at most `limit`, behind the given one; from the first on if none is given.
    pub async fn lacking(&self, behind: Option<&Lacking>, limit: usize) -> Result<Vec<Lacking>, Error> {
        let behind = behind.map_or(0, |lacking| lacking.chunk_id);
        let table = self.generation.table.clone();
        Ok(self.database.read(move |c| lacking(c, &table, behind, limit)).await?)
    }

    /// Gives chunks their vectors. A chunk that is gone, or is another by now, gets none.
    pub async fn put(&self, vectors: Vec<(Lacking, Vec<f32>)>) -> Result<(), Error> {
        let generation = self.generation.clone();
        Ok(self.database.write(move |tx| put(tx, &generation, &vectors)).await?)
    }

    /// Makes these vectors the ones that are searched and deletes the others. False, and nothing done, if a chunk lacks
    /// one: it was written a moment ago.
    pub async fn switch(&self) -> Result<bool, Error> {
        let generation = self.generation.clone();
        Ok(self.database.write(move |tx| switch(tx, &generation)).await?)
    }

    /// Chunks that have a vector, and all chunks.
    pub async fn progress(&self) -> Result<(u64, u64), Error> {
        let table = self.generation.table.clone();
        Ok(self.database.read(move |c| counts(c, &table)).await?)
    }
}

fn begin(tx: &Connection, model: &IndexModel) -> Result<Option<Generation>, Failure> {
    tables::prepare(tx)?;
    let active = tables::active(tx)?.ok_or(Failure::Port(Error::NoIndex))?;
    let is_active = tables::expect_model(&active.model, model).is_ok();
    if let Some(unfinished) = tables::unfinished(tx)? {
        if !is_active && tables::expect_model(&unfinished.model, model).is_ok() {
            tx.execute("UPDATE generations SET settings = ?1 WHERE active = 0", [&model.settings])?;
            return Ok(Some(Generation { model: model.clone(), ..unfinished }));
        }
        tables::drop_generation(tx, &unfinished)?;
    }
    if is_active { Ok(None) } else { tables::create(tx, model, false).map(Some) }
}

fn lacking(c: &Connection, table: &str, behind: i64, limit: usize) -> Result<Vec<Lacking>, Failure> {
    let mut chunks =
        c.prepare_cached("SELECT chunk_id, content_hash, text FROM chunks WHERE chunk_id > ?1 ORDER BY chunk_id")?;
    // A left join would read the whole vector table.
    let mut has_vector = c.prepare_cached(&format!("SELECT 1 FROM {table} WHERE chunk_id = ?1"))?;
    let mut rows = chunks.query([behind])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let chunk_id = row.get(0)?;
        if found.len() == limit {
            break;
        }
        if has_vector.query_row([chunk_id], |_| Ok(())).optional()?.is_none() {
            let content_hash = ContentHash::stored(row.get::<_, String>(1)?);
            found.push(Lacking { chunk_id, content_hash, text: row.get(2)? });
        }
    }
    Ok(found)
}

fn put(tx: &Connection, generation: &Generation, vectors: &[(Lacking, Vec<f32>)]) -> Result<(), Failure> {
    let wanted = generation.model.dimension;
    let table = &generation.table;
    let mut remove = tx.prepare_cached(&format!("DELETE FROM {table} WHERE chunk_id = ?1"))?;
    let mut insert = tx.prepare_cached(&format!(
        "INSERT INTO {table}
         SELECT chunk_id, author, category, source_kind, coalesce(published_at, 0), ?3 FROM chunks
         WHERE chunk_id = ?1 AND content_hash = ?2"
    ))?;
    for (chunk, vector) in vectors {
        if vector.len() != wanted {
            return Err(Failure::Port(Error::Dimension { found: vector.len(), wanted }));
        }
        remove.execute([chunk.chunk_id])?;
        insert.execute(params![chunk.chunk_id, chunk.content_hash.as_str(), vector_bytes(vector)])?;
    }
    Ok(())
}

fn switch(tx: &Connection, generation: &Generation) -> Result<bool, Failure> {
    let (with_vector, all) = counts(tx, &generation.table)?;
    if with_vector != all {
        return Ok(false);
    }
    if let Some(active) = tables::active(tx)? {
        tables::drop_generation(tx, &active)?;
    }
    tx.execute("UPDATE generations SET active = 1 WHERE generation = ?1", [generation.number])?;
    Ok(true)
}

/// Chunks with a vector in the table, and all. A vector without a chunk does not exist: they are deleted together.
fn counts(c: &Connection, table: &str) -> Result<(u64, u64), Failure> {
    let count = |table: &str| -> Result<u64, Failure> {
        let sql = format!("SELECT count(*) FROM {table}");
        Ok(c.query_row(&sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs())
    };
    Ok((count(table)?, count("chunks")?))
}
