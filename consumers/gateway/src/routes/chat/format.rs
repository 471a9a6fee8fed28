//! The form that a client wants its answer in.

use serde::Deserialize;
use serde_json::{Map, Value};
use twin_schemas::{AnswerSchema, ResponseFormat};
use utoipa::ToSchema;

use crate::extract::Checks;

/// The longest JSON Schema with its description, characters.
const MAX_SCHEMA_CHARS: usize = 16_000;
/// The longest name of a schema.
const MAX_NAME_CHARS: usize = 64;

/// The form of the answer (OpenAI's `response_format`).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Format {
    /// What the content is.
    #[serde(rename = "type")]
    kind: FormatKind,
    /// With `json_schema`.
    json_schema: Option<NamedSchema>,
}

/// What the content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FormatKind {
    /// Any text.
    Text,
    /// A JSON object.
    JsonObject,
    /// JSON that a schema allows.
    JsonSchema,
}

/// A JSON Schema with its name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedSchema {
    /// What the answer is: 1 to 64 of `a-z A-Z 0-9 _ -`.
    #[schema(example = "summary")]
    name: String,
    /// What the answer is for, as an endpoint's model is told it.
    description: Option<String>,
    /// The JSON Schema, an object; with the description up to 16000 characters.
    #[schema(value_type = Object)]
    schema: Option<Map<String, Value>>,
    /// Nothing that the schema does not allow may be written. A local model keeps to the schema in any case.
    strict: Option<bool>,
}

/// The form that was asked for. What is wrong with it is noted.
pub fn check(format: Option<Format>, checks: &mut Checks) -> ResponseFormat {
    let Some(Format { kind, json_schema }) = format else { return ResponseFormat::Text };
    match (kind, json_schema) {
        (FormatKind::Text, _) => ResponseFormat::Text,
        (FormatKind::JsonObject, _) => ResponseFormat::JsonObject,
        (FormatKind::JsonSchema, Some(named)) => {
            ResponseFormat::JsonSchema { json_schema: check_schema(named, checks) }
        }
        (FormatKind::JsonSchema, None) => {
            checks.require(false, "response_format.json_schema", "is missing");
            ResponseFormat::Text
        }
    }
}

fn check_schema(named: NamedSchema, checks: &mut Checks) -> AnswerSchema {
    let NamedSchema { name, description, schema, strict } = named;
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let is_name = (1..=MAX_NAME_CHARS).contains(&name.len()) && name.chars().all(is_allowed);
    checks.require(is_name, "response_format.json_schema.name", "must be 1 to 64 of a-z A-Z 0-9 _ -");
    checks.require(schema.is_some(), "response_format.json_schema.schema", "is missing");
    let schema = Value::Object(schema.unwrap_or_default());
    let chars = schema.to_string().chars().count() + description.as_ref().map_or(0, |text| text.chars().count());
    let is_short = chars <= MAX_SCHEMA_CHARS;
    let too_long = format!("is longer than {MAX_SCHEMA_CHARS} characters");
    checks.require(is_short, "response_format.json_schema.schema", too_long);
    AnswerSchema { name, description, schema, strict: strict.unwrap_or(false) }
}
