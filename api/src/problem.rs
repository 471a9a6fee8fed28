//! Errors, as a client is told of them: problem details (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What went wrong (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` and `status` tell problems apart.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: String,
    /// The phrase of the HTTP status.
    #[schema(value_type = String)]
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What kind of problem, for programs.
    pub code: Code,
    /// What happened, for people.
    pub detail: String,
    /// The fields that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The same for OpenAI clients; on `/v1/chat/completions`, `/v1/embeddings` and `/v1/models` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<OpenAiError>>,
}

/// What kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request can not be read: no JSON, a cut-off body.
    Malformed,
    /// A field is missing, unknown, of a wrong type or out of its range; see `errors`. A 422, and a 400 on the routes of
    /// OpenAI's API.
    InvalidField,
    /// The content type is not one that this route reads.
    UnsupportedMediaType,
    /// The body or one of its fields is too large.
    TooLarge,
    /// There is no such route, document, source, author, dead letter, dataset, job or model.
    NotFound,
    /// The route does not know this method.
    MethodNotAllowed,
    /// The step is not allowed in the present state; `detail` says why and what to do.
    Refused,
    /// Too many queries are worked on; try again after `Retry-After` seconds.
    Overloaded,
    /// The model or a store can not be reached; try again after `Retry-After` seconds. Without that header this twin does
    /// not have what is asked for, and says the same later.
    Unavailable,
    /// The answer did not come in time.
    Expired,
    /// The query can not be served as it is.
    InvalidQuery,
    /// A fault of the gateway; its log has more.
    Internal,
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// Its path: `messages[0].content`. `body` is the whole body.
    #[schema(example = "messages[0].content")]
    pub field: String,
    /// What is wrong with it.
    #[schema(example = "invalid type: integer `5`, expected a string")]
    pub detail: String,
}

/// The `error` member that OpenAI clients read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OpenAiError {
    /// What happened.
    pub message: String,
    /// `invalid_request_error` or `server_error`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: String,
    /// What kind of problem.
    pub code: Code,
    /// The first wrong field.
    pub param: Option<String>,
}

impl FieldError {
    /// A wrong field, by its path.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into() }
    }
}
