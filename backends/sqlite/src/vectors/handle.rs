use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use twin_schemas::{AuthorId, Category, DocumentId, Revision};
use twin_vectors::{
    Error, Frequencies, Generation, Hit, IndexInfo, Point, SampledChunk, SearchRequest, StoredVector, VectorIndex,
};

use super::{Failure, read, survey, tables, write};
use crate::Database;

/// A handle on one generation.
#[derive(Clone)]
pub(super) struct SqliteIndex {
    database: Database,
    generation: Generation,
}

impl SqliteIndex {
    pub(super) fn new(database: Database, generation: Generation) -> Self {
        Self { database, generation }
    }

    fn check(&self, vector: &[f32]) -> Result<(), Error> {
        let wanted = self.generation.model.dimension;
        if vector.len() == wanted {
            return Ok(());
        }
        Err(Error::Dimension { found: vector.len(), wanted })
    }

    /// Reads in one snapshot in which this handle's generation is the active one. The work is given its table.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &str) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let generation = self.generation.clone();
        let work = move |c: &Connection| {
            tables::expect_active(c, &generation)?;
            work(c, &tables::vector_table(&generation))
        };
        Ok(self.database.read(work).await?)
    }

    /// Writes in one transaction in which this handle's generation is the active one. The work is given its table and
    /// that of the generation that is being built.
    async fn write(
        &self,
        mut work: impl FnMut(&Connection, &str, Option<&str>) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), Error> {
        let generation = self.generation.clone();
        let work = move |tx: &Connection| {
            let building = tables::expect_active(tx, &generation)?;
            work(tx, &tables::vector_table(&generation), building.as_deref())
        };
        Ok(self.database.write(work).await?)
    }
}

#[async_trait]
impl VectorIndex for SqliteIndex {
    fn generation(&self) -> &Generation {
        &self.generation
    }

    async fn upsert(&self, points: Vec<Point>) -> Result<(), Error> {
        points.iter().try_for_each(|point| self.check(&point.vector))?;
        self.write(move |tx, active, building| write::upsert(tx, active, building, &points)).await
    }

    async fn delete_below(&self, documents: &[(DocumentId, Revision)]) -> Result<(), Error> {
        let documents = documents.to_vec();
        self.write(move |tx, active, building| write::delete_below(tx, active, building, &documents)).await
    }

    async fn lowest_revisions(
        &self,
        behind: Option<DocumentId>,
        limit: usize,
    ) -> Result<Vec<(DocumentId, Revision)>, Error> {
        self.read(move |c, _| read::lowest_revisions(c, behind, limit)).await
    }

    async fn vectors_of(&self, documents: &[DocumentId]) -> Result<Vec<StoredVector>, Error> {
        let documents = documents.to_vec();
        self.read(move |c, table| read::vectors_of(c, table, &documents)).await
    }

    async fn search(&self, request: SearchRequest) -> Result<Vec<Hit>, Error> {
        self.check(&request.vector)?;
        self.read(move |c, table| read::search(c, table, &request)).await
    }

    async fn frequencies(&self, author: &AuthorId, words: &[String]) -> Result<Frequencies, Error> {
        let (author, words) = (author.clone(), words.to_vec());
        self.read(move |c, _| survey::frequencies(c, &author, &words)).await
    }

    async fn sample(
        &self,
        author: &AuthorId,
        categories: &[Category],
        limit: usize,
    ) -> Result<Vec<SampledChunk>, Error> {
        let (author, categories) = (author.clone(), categories.to_vec());
        self.read(move |c, _| survey::sample(c, &author, &categories, limit)).await
    }

    async fn info(&self) -> Result<IndexInfo, Error> {
        let points = self.read(|c, _| read::count(c)).await?;
        Ok(IndexInfo { model: self.generation.model.clone(), points })
    }

    async fn renewed(&self) -> Result<Arc<dyn VectorIndex>, Error> {
        let generations = self.database.read(tables::load).await?.ok_or(Error::NoIndex)?;
        Ok(Arc::new(Self::new(self.database.clone(), generations.active)))
    }
}
