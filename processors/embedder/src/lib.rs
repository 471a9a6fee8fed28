//! Embeds chunked documents and keeps the index in step with them.
//!
//! In: [`twin_schemas::ChunkedDocument`] and tombstones. Out: points in the vector index and an entry in the ledger.
//!
//! The order of effects is: upsert the new revision's points, advance the ledger, delete the points of lower revisions,
//! acknowledge. Retrieval serves the revision that the ledger names and no other, so at each moment between two of
//! these steps exactly one revision of a document is found, and a crash leaves work that the redelivered event
//! finishes. (Deleting before the ledger advances would leave a moment in which nothing of the document is found.)
//! A revision that is not newer than the ledger's is passed over, its leftovers are deleted. A chunk whose text did
//! not change keeps its vector.
//!
//! [`sweep()`] takes away what a process has left of an outdated revision that it wrote late, and was killed before it could
//! take it back.
//!
//! [`rebuild()`] gives the chunks of an index vectors of another model, while this stage and searches go on.
//!
//! Deliberately not here: the model (`platform/embedding` and its engines) and the index (`platform/vectors`).

mod handler;
mod metrics;
mod rebuild;
mod sweep;

pub use handler::Embedding;
pub use rebuild::{RebuildError, rebuild};
pub use sweep::{SweepError, sweep};
