//! Texts to embed, and their vectors.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{GatewayId, RequestId};
use crate::query::StageTimings;

/// Texts whose vectors are asked for, as the index's embedding model makes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmbedQuery {
    /// Its id, also the key of the event.
    pub request_id: RequestId,
    /// The gateway that waits for the vectors.
    pub reply_to: GatewayId,
    /// The texts.
    pub texts: Vec<String>,
    /// What the texts are.
    #[serde(default)]
    pub input: EmbeddingInput,
    /// The model that is wanted: the name of the index's, or its id. Absent: whichever it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Numbers in a vector that are wanted: as many as the model makes. Absent: however many that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// After this moment nobody waits for the vectors.
    pub deadline: DateTime<Utc>,
}

/// What texts are, for a model that embeds questions otherwise than what answers them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddingInput {
    /// Questions: their vectors are those that passages are searched with.
    Query,
    /// Texts to be found: their vectors are those that the index holds.
    #[default]
    Passage,
}

/// The end of an embedding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Embedded {
    /// The id of the model that made the vectors.
    pub model: String,
    /// Tokens of all texts, special tokens included.
    pub tokens: u64,
    /// Time spent.
    pub timings: StageTimings,
}
