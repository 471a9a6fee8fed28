//! The vector index: chunks found by meaning (dense vectors) and by words (BM25), fused by rank.
//!
//! In: chunks of document revisions with their vectors. Out: hits that carry their revision. The index does not know
//! which revision is live: whoever searches drops hits of any other ([`Hit::revision`]), so that an index that is a
//! moment behind serves nothing stale.
//!
//! The index holds vectors of one model, a generation ([`VectorIndex`] is a handle on one). It goes over to another in
//! one step, when every chunk has a vector of that ([`VectorStore`], [`generations`]).
//!
//! The port has the operations of a Qdrant collection (points with payload; upsert that has been applied when it
//! returns; delete by filter; dense and sparse search under one filter), so that a server fits beside the embedded
//! database. What every store of it must do is in [`testing`].
//!
//! Deliberately not here: any store, embedding, and the ledger of live revisions.

mod error;
mod fusion;
pub mod generations;
mod model;
mod port;
pub mod testing;

pub use error::Error;
pub use fusion::{RRF_K, reciprocal_rank_fusion};
pub use generations::{Generation, Generations, Phase};
pub use model::{
    Coverage, FREQUENT, Filter, Frequencies, Hit, IndexInfo, PendingChunk, Point, PointKey, SampledChunk,
    SearchRequest, StoredVector,
};
pub use port::{VectorIndex, VectorStore};
