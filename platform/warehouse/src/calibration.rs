//! From which score on an author's questions are answered, as it was measured.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use twin_schemas::AuthorId;

/// From which score of a retrieval on an author's questions are answered, and how often that was wrong of questions of
/// which it is known. It is derived from the index: one that is lost is measured again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Whose index.
    pub author: AuthorId,
    /// The generation of the index. Scores of another have another scale.
    pub generation: u64,
    /// The embedding model of that generation.
    pub model: String,
    /// The author's chunks in the index at that time.
    pub chunks: u64,
    /// Questions with a lower score are refused.
    pub threshold: f32,
    /// Where the threshold is from.
    pub basis: ThresholdBasis,
    /// Questions made of the author's texts, which these answer: each that was refused is one too many. Where the threshold
    /// was chosen by questions, these and the following are others: the half that it was not chosen by.
    pub answerable: Refusals,
    /// The same questions where the documents that they were made of are left out.
    pub left_out: Refusals,
    /// General questions on other fields.
    pub general: Refusals,
    /// When it was measured.
    pub measured_at: DateTime<Utc>,
}

/// Where a threshold is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdBasis {
    /// It was chosen by the questions.
    Measured,
    /// It is the one that is shipped: too few questions could be made of the author's texts.
    Shipped,
}

/// How many questions of a kind were asked, and how many of them were refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    /// Questions.
    pub asked: u32,
    /// Of these, below the threshold.
    pub refused: u32,
}

impl Refusals {
    /// The share that was refused, 0 to 1; none if nothing was asked.
    pub fn rate(self) -> Option<f64> {
        (self.asked > 0).then(|| f64::from(self.refused) / f64::from(self.asked))
    }
}
