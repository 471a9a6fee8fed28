//! Events that a stage gave up on.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which dead letters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeadLetterFilter {
    /// Only those read from this topic.
    #[param(example = "twin.documents.raw.v1")]
    pub topic: Option<String>,
    /// At most so many, 1 to 1000; 50 if absent.
    pub limit: Option<usize>,
    /// Those that come after an earlier part of the list: its `next`.
    pub before: Option<String>,
}

/// Dead letters, newest first, without their payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterList {
    /// Newest first.
    pub dead_letters: Vec<DeadLetterView>,
    /// The `before` of the next part of the list; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A dead letter that was replayed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Replayed {
    /// Where it stands now: `topic[partition]@offset`.
    pub position: String,
}

/// An event that a stage gave up on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterView {
    /// Names it in the other routes.
    pub id: String,
    /// The topic that it was read from.
    pub topic: String,
    /// The stage that gave up.
    pub stage: String,
    /// Why, as a word for programs: `decode`, `warehouse`, `panic`, ….
    pub class: String,
    /// Why, for people.
    pub message: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was first tried, where the stage noted it.
    pub first_seen: Option<DateTime<Utc>>,
    /// When the stage gave up.
    pub dead_at: DateTime<Utc>,
    /// Where it stands in its topic: `topic[partition]@offset`.
    pub original_position: String,
    /// Its key.
    pub key: String,
    /// CloudEvents type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// CloudEvents subject: a document id, a request id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The document's revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// All headers of the event.
    pub headers: BTreeMap<String, String>,
    /// The payload as JSON, or as a string where it is none; absent for a tombstone and in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// It was replayed before.
    pub replayed: bool,
}
