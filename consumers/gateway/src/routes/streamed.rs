//! What the routes share that stream an answer.

use std::time::Duration;

use axum::http::HeaderName;
use axum::response::sse::KeepAlive;

use crate::state::App;

/// Names the query in the log and in traces.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Comments in a silent stream, so that nothing on the way takes it for dead.
pub fn keep_alive(app: &App) -> KeepAlive {
    KeepAlive::new().interval(Duration::from_secs(app.options.keep_alive_s))
}
