//! The vector index in the embedded database: `sqlite-vec` (exact cosine search, partitioned by author) and FTS5
//! (BM25).

mod read;
mod tables;
mod write;

use async_trait::async_trait;
use twin_schemas::{DocumentId, Revision};
use twin_sqlite::Database;
use twin_sqlite::rusqlite::Connection;

use crate::model::{Hit, IndexInfo, Point, SearchRequest, StoredVector};
use crate::{Error, VectorIndex};

/// The vector index in an SQLite file; clones share it.
#[derive(Clone)]
pub struct SqliteVectors {
    database: Database,
    model: String,
    dimension: usize,
}

impl SqliteVectors {
    /// Opens the index for vectors of `model`, making or migrating its tables. One that holds vectors of another
    /// model is refused.
    pub async fn open(database: Database, model: &str, dimension: usize) -> Result<Self, Error> {
        let wanted = model.to_owned();
        database.write(move |tx| tables::prepare(tx, &wanted, dimension)).await?;
        Ok(Self { database, model: model.to_owned(), dimension })
    }

    fn check(&self, vector: &[f32]) -> Result<(), Error> {
        if vector.len() == self.dimension {
            return Ok(());
        }
        Err(Error::Dimension { found: vector.len(), wanted: self.dimension })
    }
}

#[async_trait]
impl VectorIndex for SqliteVectors {
    async fn upsert(&self, points: Vec<Point>) -> Result<(), Error> {
        points.iter().try_for_each(|point| self.check(&point.vector))?;
        let model = self.model.clone();
        self.database.write(move |tx| write::upsert(tx, &model, &points)).await
    }

    async fn delete_below(&self, documents: &[(DocumentId, Revision)]) -> Result<(), Error> {
        let documents = documents.to_vec();
        self.database.write(move |tx| write::delete_below(tx, &documents)).await
    }

    async fn vectors_of(&self, documents: &[DocumentId]) -> Result<Vec<StoredVector>, Error> {
        let documents = documents.to_vec();
        self.database.read(move |c| read::vectors_of(c, &documents)).await
    }

    async fn search(&self, request: SearchRequest) -> Result<Vec<Hit>, Error> {
        self.check(&request.vector)?;
        self.database.read(move |c: &Connection| read::search(c, &request)).await
    }

    async fn info(&self) -> Result<IndexInfo, Error> {
        let (model, dimension) = (self.model.clone(), self.dimension);
        let points = self.database.read::<_, Error, _>(read::count).await?;
        Ok(IndexInfo { model, dimension, points })
    }
}
