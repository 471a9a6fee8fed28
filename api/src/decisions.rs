//! What was decided about model versions, and which one answers.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Who decides, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Who; 1 to 100 characters.
    #[schema(example = "Grace")]
    pub by: String,
    /// Why, up to 2000 characters; nothing if absent.
    #[serde(default)]
    #[schema(example = "reads like her")]
    pub why: String,
}

/// How many deployments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeploymentFilter {
    /// At most so many, 1 to 1000; 50 if absent.
    pub limit: Option<u32>,
    /// Those that come after an earlier part of the list: its `next`.
    pub before: Option<String>,
}

/// Deployments for an author.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeploymentList {
    /// Newest first.
    pub deployments: Vec<DeploymentView>,
    /// The `before` of the next part of the list; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The model version that is to answer: that of the newest deployment that has not failed; null is the base model.
    pub in_production: Option<String>,
}

/// Who decided what, when and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DecisionView {
    /// For whose twin.
    pub author: String,
    /// About which model version; null is the base model.
    pub model: Option<String>,
    /// `approve`, `reject`, `deploy` or `rollback`.
    #[schema(value_type = String, example = "approve")]
    pub action: Action,
    /// Who: a person's name, or `policy`.
    pub decided_by: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A change of the model that answers for an author.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeploymentView {
    /// For whose twin.
    pub author: String,
    /// Its number among the author's, from 1.
    pub number: u64,
    /// The model version; null is the base model.
    pub model: Option<String>,
    /// `requested`: no worker has taken it up yet. `serving`: a worker answers with it. `failed`: it could not be
    /// loaded, and the one before goes on.
    #[schema(value_type = String, example = "serving")]
    pub state: DeploymentState,
    /// Why it failed.
    pub detail: Option<String>,
    /// When it was asked for.
    pub at: DateTime<Utc>,
    /// When it began to serve, or failed.
    pub settled_at: Option<DateTime<Utc>>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It may serve.
    Approve,
    /// It never serves.
    Reject,
    /// It answers from now on.
    Deploy,
    /// What served before answers again.
    Rollback,
}

impl Action {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
        }
    }
}

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// No worker has taken it up yet.
    Requested,
    /// A worker answers with it.
    Serving,
    /// It could not be loaded, and the one before goes on.
    Failed,
}

impl DeploymentState {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Serving => "serving",
            Self::Failed => "failed",
        }
    }
}
