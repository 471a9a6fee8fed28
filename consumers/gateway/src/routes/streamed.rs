//! What the routes share that stream an answer.

use std::time::Duration;

use axum::http::HeaderName;
use axum::response::sse::KeepAlive;

use crate::state::App;

/// An event of a streamed answer, in the WHATWG's format. It stands in the OpenAPI document only.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "axum writes the events; this describes them")]
pub struct ServerSentEvent {
    /// On `/v1/query`: `retrieved`, `delta`, `done` or `error`. Absent on the routes of OpenAI's API.
    #[schema(example = "delta")]
    event: Option<String>,
    /// JSON. Of `retrieved` the `passages`, of `delta` more `text`, of `done` a `QueryAnswer`, of `error` a `Problem`;
    /// on the routes of OpenAI's API a `ChatChunk`, and at the end the text `[DONE]`.
    data: String,
}

/// Names the query in the log and in traces.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Comments in a silent stream, so that nothing on the way takes it for dead.
pub fn keep_alive(app: &App) -> KeepAlive {
    KeepAlive::new().interval(Duration::from_secs(app.options.keep_alive_s))
}
