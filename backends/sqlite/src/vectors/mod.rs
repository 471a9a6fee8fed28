//! The vector index in the embedded database: `sqlite-vec` (exact cosine search, partitioned by author) and FTS5
//! (BM25).
//!
//! A chunk is one row, whatever generations there are, and each generation is a table of vectors. So a write is in all
//! of them at once, and a chunk without a row in the table of the one that is being built is what is pending there.

mod build;
mod handle;
mod read;
mod survey;
mod tables;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use twin_embedding::EmbeddingModel;
use twin_vectors::{Coverage, Error, Generation, Generations, PendingChunk, PointKey, VectorIndex, VectorStore};

use crate::Database;
use handle::SqliteIndex;

/// What a statement of the index can end with.
type Failure = crate::Failure<Error>;

/// The vector index in an SQLite file; clones share it.
#[derive(Clone)]
pub struct SqliteVectors {
    database: Database,
}

impl SqliteVectors {
    /// Opens it, making or migrating its tables.
    pub async fn open(database: Database) -> Result<Self, Error> {
        database.write(tables::prepare).await?;
        Ok(Self { database })
    }

    /// Decides what the generations become, and makes them that, in one transaction.
    async fn change<T: Send + 'static>(
        &self,
        mut decide: impl FnMut(&Connection, Option<&Generations>) -> Result<(Option<Generations>, T), Failure>
        + Send
        + 'static,
    ) -> Result<T, Error> {
        let change = move |tx: &Connection| {
            let before = tables::load(tx)?;
            let (after, told) = decide(tx, before.as_ref())?;
            if let Some(after) = &after {
                tables::store(tx, before.as_ref(), after)?;
            }
            Ok::<T, Failure>(told)
        };
        Ok(self.database.write(change).await?)
    }

    /// Reads of a generation that is being built.
    async fn read_building<T: Send + 'static>(
        &self,
        building: &Generation,
        read: impl FnOnce(&Connection, &str) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let building = building.clone();
        let read = move |c: &Connection| {
            expect_building(c, &building)?;
            read(c, &tables::vector_table(&building))
        };
        Ok(self.database.read(read).await?)
    }
}

fn expect_building(c: &Connection, building: &Generation) -> Result<(), Failure> {
    let generations = tables::load(c)?.ok_or(Failure::Port(Error::NoIndex))?;
    generations.expect_building(building).map_err(Failure::Port)
}

#[async_trait]
impl VectorStore for SqliteVectors {
    async fn generations(&self) -> Result<Option<Generations>, Error> {
        Ok(self.database.read(tables::load).await?)
    }

    async fn open(&self, model: &EmbeddingModel) -> Result<Arc<dyn VectorIndex>, Error> {
        let model = model.clone();
        let decide = move |_: &Connection, before: Option<&Generations>| {
            let after = match before {
                None => Generations::first(model.clone()),
                Some(before) => before.open(&model).map_err(Failure::Port)?,
            };
            let active = after.active.clone();
            Ok((Some(after), active))
        };
        let active = self.change(decide).await?;
        Ok(Arc::new(SqliteIndex::new(self.database.clone(), active)))
    }

    async fn prepare(&self, model: &EmbeddingModel) -> Result<Option<Generation>, Error> {
        let model = model.clone();
        let decide = move |_: &Connection, before: Option<&Generations>| {
            let before = before.ok_or(Failure::Port(Error::NoIndex))?;
            let (after, building) = before.prepare(&model).map_err(Failure::Port)?;
            Ok((Some(after), building))
        };
        self.change(decide).await
    }

    async fn pending(
        &self,
        building: &Generation,
        behind: Option<PointKey>,
        limit: usize,
    ) -> Result<Vec<PendingChunk>, Error> {
        self.read_building(building, move |c, table| build::pending(c, table, behind, limit)).await
    }

    async fn fill(&self, building: &Generation, vectors: Vec<(PendingChunk, Vec<f32>)>) -> Result<(), Error> {
        let wanted = building.model.dimension;
        if let Some((_, vector)) = vectors.iter().find(|(_, vector)| vector.len() != wanted) {
            return Err(Error::Dimension { found: vector.len(), wanted });
        }
        let building = building.clone();
        let fill = move |tx: &Connection| {
            expect_building(tx, &building)?;
            build::fill(tx, &tables::vector_table(&building), &vectors)
        };
        Ok(self.database.write(fill).await?)
    }

    async fn coverage(&self, building: &Generation) -> Result<Coverage, Error> {
        self.read_building(building, build::coverage).await
    }

    async fn switch(&self, built: &Generation) -> Result<bool, Error> {
        let built = built.clone();
        let decide = move |tx: &Connection, before: Option<&Generations>| {
            let before = before.ok_or(Failure::Port(Error::NoIndex))?;
            let after = before.switch(&built).map_err(Failure::Port)?;
            if after == *before {
                return Ok((None, true));
            }
            let is_complete = build::coverage(tx, &tables::vector_table(&built))?.is_complete();
            Ok((is_complete.then_some(after), is_complete))
        };
        self.change(decide).await
    }

    async fn drain(&self) -> Result<(), Error> {
        self.change(|_, before| Ok((before.map(Generations::drained), ()))).await
    }
}
