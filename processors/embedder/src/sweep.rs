//! Takes away what was left of outdated revisions.
//!
//! A process that stands still between looking at the ledger and writing its points writes them late, when another has
//! indexed a newer revision. It takes them back itself, by the ledger as it is then; if it is killed before that, nobody
//! else would: its event was acknowledged by the other. So whoever starts looks once over the whole index.

use std::sync::Arc;

use twin_index::Index;
use twin_schemas::{DocumentId, Revision};
use twin_warehouse::{LOOK_UP_MAX, Warehouse};

/// Why the index could not be looked over.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The index.
    #[error("the index could not be looked over: {0}")]
    Index(#[from] twin_vectors::Error),
    /// The ledger.
    #[error("the ledger could not be read: {0}")]
    Ledger(#[from] twin_warehouse::Error),
}

impl SweepError {
    /// Whether the same may go well later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Index(twin_vectors::Error::Superseded { .. }) => true,
            Self::Index(error) => error.is_transient(),
            Self::Ledger(error) => error.is_transient(),
        }
    }
}

/// Deletes the points of all documents that are below the ledger, and returns of how many documents there were some. What
/// is written meanwhile is left alone: no revision that may still be served is below the ledger.
///
/// # Errors
/// The index or the ledger can not be read or written, or the index goes over to another model; done again it goes on.
pub async fn sweep(index: &Index, warehouse: &Arc<dyn Warehouse>) -> Result<u64, SweepError> {
    let vectors = index.current().vectors;
    let (mut behind, mut swept) = (None, 0);
    loop {
        let listed = vectors.lowest_revisions(behind, LOOK_UP_MAX).await?;
        let Some((last, _)) = listed.last() else { return Ok(swept) };
        behind = Some(*last);
        let ids: Vec<DocumentId> = listed.iter().map(|(id, _)| *id).collect();
        let ledger = warehouse.ledger(&ids).await?;
        let is_below = |(id, lowest): &(DocumentId, Revision)| {
            let entry = ledger.get(id)?;
            (*lowest < entry.revision).then_some((*id, entry.revision))
        };
        let below: Vec<_> = listed.iter().filter_map(is_below).collect();
        if !below.is_empty() {
            swept += below.len() as u64;
            vectors.delete_below(&below).await?;
        }
    }
}
