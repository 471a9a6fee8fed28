use async_trait::async_trait;
use twin_schemas::{DocumentId, Revision};

use crate::Error;
use crate::model::{Hit, IndexInfo, Point, SearchRequest, StoredVector};

/// The vector index port. Writes are durable and visible to searches when their future ends.
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
}
