//! Adapters that were trained without some of an author's documents.

use serde::{Deserialize, Serialize};
use twin_artifacts::FolderFile;
use twin_schemas::DocumentId;

/// An adapter of the same recipe as a model's, trained without some of the documents: what it makes of them says what the
/// recipe makes of text that it has not seen. The documents that the folds of a model leave out are all of its training and
/// test split, each in one fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldAdapter {
    /// Which fold, from 0.
    pub fold: u32,
    /// The documents that nothing of was learned from, ascending.
    pub left_out: Vec<DocumentId>,
    /// Optimizer steps done.
    pub steps: u64,
    /// Samples that it learned from.
    pub samples: u64,
    /// Samples of other documents that were left out too, since a passage of a left-out document stands in their prompts.
    pub shown_beside: u64,
    /// Loss on the validation split at the end, nats per token.
    pub evaluation_loss: Option<f64>,
    /// The PEFT adapter.
    pub adapter: Vec<FolderFile>,
}
