use std::sync::Arc;

use async_trait::async_trait;
use twin_schemas::{DocumentId, Revision};

use crate::Error;
use crate::model::{Hit, IndexInfo, IndexModel, Point, SearchRequest, StoredVector};

/// The vector index port: a handle for vectors of one model. Writes are durable and visible to searches when their
/// future ends. If the index goes over to another model, every call fails with [`Error::OtherModel`] and has done
/// nothing; [`VectorIndex::renewed`] gives a handle that fits.
#[async_trait]
pub trait VectorIndex: Send + Sync {
    /// Writes points; a point that is there (same document, revision and ordinal) is replaced.
    async fn upsert(&self, points: Vec<Point>) -> Result<(), Error>;

    /// Deletes the points of each document whose revision is lower than the given one.
    async fn delete_below(&self, documents: &[(DocumentId, Revision)]) -> Result<(), Error>;

    /// The vectors held for a document, of whichever revision: an unchanged chunk's is copied.
    async fn vectors_of(&self, documents: &[DocumentId]) -> Result<Vec<StoredVector>, Error>;

    /// The best chunks, best first.
    async fn search(&self, request: SearchRequest) -> Result<Vec<Hit>, Error>;

    /// What the index holds.
    async fn info(&self) -> Result<IndexInfo, Error>;

    /// The model of the index as it is now, and a handle for its vectors.
    async fn renewed(&self) -> Result<(IndexModel, Arc<dyn VectorIndex>), Error>;
}
