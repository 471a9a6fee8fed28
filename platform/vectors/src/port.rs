use std::sync::Arc;

use async_trait::async_trait;
use twin_embedding::EmbeddingModel;
use twin_schemas::{AuthorId, Category, DocumentId, Revision};

use crate::model::{
    Coverage, Frequencies, Hit, IndexInfo, PendingChunk, Point, PointKey, SampledChunk, SearchRequest, StoredVector,
};
use crate::{Error, Generation, Generations};

/// A handle on one generation of the index's vectors. Writes are durable and visible to searches when their future ends.
/// If the index has gone over to another generation, every call fails with [`Error::Superseded`]: no vector ever meets
/// one of another model. A write that fails so is not lost if it is repeated through the handle that
/// [`VectorIndex::renewed`] gives; one that succeeded is in the generation that the index goes over to.
#[async_trait]
pub trait VectorIndex: Send + Sync {
    /// The generation that this is a handle on.
    fn generation(&self) -> &Generation;

    /// Writes points; a point that is there (same document, revision and ordinal) is replaced. While another generation is
    /// being built, their vectors there are pending.
    async fn upsert(&self, points: Vec<Point>) -> Result<(), Error>;

    /// Deletes the points of each document whose revision is lower than the given one, from a generation that is being built
    /// too.
    async fn delete_below(&self, documents: &[(DocumentId, Revision)]) -> Result<(), Error>;

    /// The documents of which there are points, behind the given one and at most `limit`, by id; each with the lowest
    /// revision of its points.
    async fn lowest_revisions(
        &self,
        behind: Option<DocumentId>,
        limit: usize,
    ) -> Result<Vec<(DocumentId, Revision)>, Error>;

    /// The vectors held for a document, of whichever revision: an unchanged chunk's is copied.
    async fn vectors_of(&self, documents: &[DocumentId]) -> Result<Vec<StoredVector>, Error>;

    /// The best chunks, best first.
    async fn search(&self, request: SearchRequest) -> Result<Vec<Hit>, Error>;

    /// In how many of an author's chunks each of these words is, in any of its forms that a search by words takes for the
    /// same. A text of several words is in a chunk that has them one behind the other.
    async fn frequencies(&self, author: &AuthorId, words: &[String]) -> Result<Frequencies, Error>;

    /// At most `limit` of an author's chunks of these categories, spread evenly over all of them: the same ones each time
    /// as long as nothing is written.
    async fn sample(
        &self,
        author: &AuthorId,
        categories: &[Category],
        limit: usize,
    ) -> Result<Vec<SampledChunk>, Error>;

    /// What the index holds.
    async fn info(&self) -> Result<IndexInfo, Error>;

    /// A handle on the generation that is active now.
    async fn renewed(&self) -> Result<Arc<dyn VectorIndex>, Error>;
}

/// An index and its generations: opening it, and building vectors of another model beside those that are searched. Each
/// method is a read or has one write that decides, and can be repeated; the steps are told in [`crate::generations`].
#[async_trait]
pub trait VectorStore: Send + Sync {
    /// The generations. None if nothing was ever put into the index.
    async fn generations(&self) -> Result<Option<Generations>, Error>;

    /// A handle for vectors of `model`. An index that is not there is made; one of another model is refused with
    /// [`Error::OtherModel`]. The model's settings are kept as they are now: its folder may have moved.
    async fn open(&self, model: &EmbeddingModel) -> Result<Arc<dyn VectorIndex>, Error>;

    /// Begins to build vectors of `model`, or goes on with what an earlier builder of it has left; what was left of a
    /// third model is deleted. None if the index is of this model already. Refused with [`Error::Draining`] until
    /// [`VectorStore::drain`] was called, and with [`Error::NoIndex`] if there is nothing to go over from.
    async fn prepare(&self, model: &EmbeddingModel) -> Result<Option<Generation>, Error>;

    /// The next chunks without a vector in the generation that is being built, at most `limit`, in the order of their keys,
    /// behind the given one; from the first on if none is given.
    async fn pending(
        &self,
        building: &Generation,
        behind: Option<PointKey>,
        limit: usize,
    ) -> Result<Vec<PendingChunk>, Error>;

    /// Gives chunks their vectors, `[dimension]` each. A chunk that is gone, or is another by now, gets none.
    async fn fill(&self, building: &Generation, vectors: Vec<(PendingChunk, Vec<f32>)>) -> Result<(), Error>;

    /// How many chunks have a vector in the generation that is being built.
    async fn coverage(&self, building: &Generation) -> Result<Coverage, Error>;

    /// Makes the generation that was built the active one. False, and nothing done, if a chunk is pending: it was written
    /// a moment ago. True a second time.
    async fn switch(&self, built: &Generation) -> Result<bool, Error>;

    /// Deletes the vectors of the generation that was active before, if a switch has left them.
    async fn drain(&self) -> Result<(), Error>;
}
