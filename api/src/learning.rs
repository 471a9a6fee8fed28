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
    /// The retraining that is offered, if one is: `POST /v1/authors/{author}/retrain` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<RetrainingOffer>,
}

/// A retraining that is offered: what serves was trained with something else than what there is now. It serves until
/// another version is approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetrainingOffer {
    /// The version that serves.
    #[schema(example = "ada-v1")]
    pub model: String,
    /// What has changed since that was trained: `base` (the base model), `prompts` (their form).
    pub changed: Vec<String>,
    /// Whether a dataset version has to be made first, since the newest one has prompts of another form.
    pub version_first: bool,
}

/// A part of the learning loop, and why it stands where it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartStatus {
    /// `dataset`, `training`, `evaluation`, `decision`, `deployment` or `retraining`.
    #[schema(value_type = String, example = "training")]
    pub part: LearningPart,
    /// `done`, `under_way`, `waits` (for something else, or for somebody), `offered` (it is there for the taking),
    /// `held_back` (it does not go on by itself) or `not_begun`.
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
    /// What serves is trained anew where the base model or the prompts have changed since.
    Retraining,
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
    /// It is there for the taking.
    Offered,
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
            Self::Retraining => "retraining",
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
            Self::Offered => "offered",
            Self::HeldBack => "held back",
            Self::NotBegun => "-",
        }
    }
}
