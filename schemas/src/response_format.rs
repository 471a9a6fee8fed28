//! The form that an answer's text has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The form of a model's text (OpenAI's `response_format`,
/// <https://platform.openai.com/docs/api-reference/chat/create>).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Any text.
    #[default]
    Text,
    /// A JSON object.
    JsonObject,
    /// JSON that a schema allows.
    JsonSchema {
        /// The schema.
        json_schema: AnswerSchema,
    },
}

impl ResponseFormat {
    /// JSON that `schema` allows; the name is for the model.
    pub fn json_schema(name: &str, schema: Value) -> Self {
        Self::JsonSchema {
            json_schema: AnswerSchema { name: name.to_owned(), description: None, schema, strict: true },
        }
    }

    /// Any text will do.
    pub fn is_text(&self) -> bool {
        *self == Self::Text
    }
}

/// A JSON Schema with its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerSchema {
    /// What the answer is: 1 to 64 of `a-z A-Z 0-9 _ -`.
    pub name: String,
    /// What the answer is for. An endpoint's model is told it; the local one, which keeps to the schema, is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema.
    pub schema: Value,
    /// Nothing that the schema does not allow may be written. Without, an endpoint may only try; the local model always
    /// keeps to the schema.
    #[serde(default)]
    pub strict: bool,
}
