//! The vector index in the embedded database: `sqlite-vec` (exact cosine search, partitioned by author) and FTS5
//! (BM25).

mod read;
mod rebuild;
mod tables;
mod write;

use std::sync::Arc;

use crate::Database;
use async_trait::async_trait;
use rusqlite::Connection;
use twin_schemas::{DocumentId, Revision};

use tables::Generation;
use twin_vectors::{Error, Hit, IndexInfo, IndexModel, Point, SearchRequest, StoredVector, VectorIndex};

pub use rebuild::{Lacking, Rebuild};

/// What a statement of the index can end with.
type Failure = crate::Failure<Error>;

/// The vector index in an SQLite file; clones share it.
#[derive(Clone)]
pub struct SqliteVectors {
    database: Database,
    generation: Generation,
}

impl SqliteVectors {
    /// Opens the index for vectors of `model`, making or migrating its tables. One that holds vectors of another
    /// model is refused.
    pub async fn open(database: Database, model: IndexModel) -> Result<Self, Error> {
        let generation = database.write(move |tx| open(tx, &model)).await?;
        Ok(Self { database, generation })
    }

    fn check(&self, vector: &[f32]) -> Result<(), Error> {
        let wanted = self.generation.model.dimension;
        if vector.len() == wanted {
            return Ok(());
        }
        Err(Error::Dimension { found: vector.len(), wanted })
    }

    /// Reads in one snapshot in which the index is of this handle's model.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Generation) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let generation = self.generation.clone();
        Ok(self.database.read(move |c| still_active(c, &generation).and_then(|()| work(c, &generation))).await?)
    }

    /// Writes in one transaction in which the index is of this handle's model.
    async fn write(
        &self,
        mut work: impl FnMut(&Connection, &Generation) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), Error> {
        let generation = self.generation.clone();
        Ok(self.database.write(move |tx| still_active(tx, &generation).and_then(|()| work(tx, &generation))).await?)
    }
}

fn open(tx: &Connection, model: &IndexModel) -> Result<Generation, Failure> {
    tables::prepare(tx)?;
    let Some(found) = tables::active(tx)? else { return tables::create(tx, model, true) };
    tables::expect_model(&found.model, model)?;
    // The model that is here now is the one that can be loaded: it may have moved.
    tx.execute("UPDATE generations SET settings = ?1 WHERE active = 1 AND settings <> ?1", [&model.settings])?;
    Ok(Generation { model: model.clone(), ..found })
}

fn still_active(c: &Connection, generation: &Generation) -> Result<(), Failure> {
    let active = tables::active(c)?.ok_or(Failure::Port(Error::NoIndex))?;
    if active.number == generation.number {
        return Ok(());
    }
    tables::expect_model(&active.model, &generation.model)
}

#[async_trait]
impl VectorIndex for SqliteVectors {
    async fn upsert(&self, points: Vec<Point>) -> Result<(), Error> {
        points.iter().try_for_each(|point| self.check(&point.vector))?;
        self.write(move |tx, generation| write::upsert(tx, generation, &points)).await
    }

    async fn delete_below(&self, documents: &[(DocumentId, Revision)]) -> Result<(), Error> {
        let documents = documents.to_vec();
        self.write(move |tx, generation| write::delete_below(tx, generation, &documents)).await
    }

    async fn vectors_of(&self, documents: &[DocumentId]) -> Result<Vec<StoredVector>, Error> {
        let documents = documents.to_vec();
        self.read(move |c, generation| read::vectors_of(c, generation, &documents)).await
    }

    async fn search(&self, request: SearchRequest) -> Result<Vec<Hit>, Error> {
        self.check(&request.vector)?;
        self.read(move |c, generation| read::search(c, generation, &request)).await
    }

    async fn info(&self) -> Result<IndexInfo, Error> {
        let points = self.read(|c, _| read::count(c)).await?;
        Ok(IndexInfo { model: self.generation.model.clone(), points })
    }

    async fn renewed(&self) -> Result<(IndexModel, Arc<dyn VectorIndex>), Error> {
        let generation = self.database.read(tables::active).await?.ok_or(Error::NoIndex)?;
        let model = generation.model.clone();
        Ok((model, Arc::new(Self { database: self.database.clone(), generation })))
    }
}
