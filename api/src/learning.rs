//! How far an author's learning is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far an author's learning is: what of the loop is done, under way, waits or is held back, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LearningView {
    /// Whose.
    #[schema(example = "ada")]
    pub author: String,
    /// The parts of the loop, in the order in which one leads to the next.
    pub parts: Vec<PartStatus>,
}

/// A part of the learning loop, and why it stands where it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartStatus {
    /// `dataset`, `training`, `evaluation`, `decision` or `deployment`.
    #[schema(value_type = String, example = "training")]
    pub part: LearningPart,
    /// `done`, `under_way`, `waits` (for something else, or for somebody), `held_back` (it does not go on by itself) or
    /// `not_begun`.
    #[schema(value_type = String, example = "under_way")]
    pub standing: PartStanding,
    /// Why, and what would have it go on.
    pub detail: String,
}

/// A part of the learning loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearningPart {
    /// A dataset version.
    Dataset,
    /// A job on the newest version.
    Training,
    /// The evaluation of the newest model.
    Evaluation,
    /// Whether it may serve.
    Decision,
    /// What is to serve is taken up.
    Deployment,
}

/// Where a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartStanding {
    /// Done, for now.
    Done,
    /// Somebody works on it.
    UnderWay,
    /// It goes on when something else happens.
    Waits,
    /// It does not go on by itself.
    HeldBack,
    /// There is nothing to do for it yet.
    NotBegun,
}

impl LearningPart {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Training => "training",
            Self::Evaluation => "evaluation",
            Self::Decision => "decision",
            Self::Deployment => "deployment",
        }
    }
}

impl PartStanding {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::UnderWay => "under way",
            Self::Waits => "waits",
            Self::HeldBack => "held back",
            Self::NotBegun => "-",
        }
    }
}
