//! What the routes share that stream an answer.

use std::time::Duration;

use axum::http::HeaderName;
use axum::response::sse::{Event, KeepAlive};
use serde::Serialize;
use twin_schemas::WrittenText;

use crate::problem::Problem;
use crate::state::App;
use crate::steps::Step;
use crate::views::Shown;

/// An event of a streamed answer, in the WHATWG's format. It stands in the OpenAPI document only.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "axum writes the events; this describes them")]
pub struct ServerSentEvent {
    /// On `/v1/query` and `/v1/write`: `retrieved`, `delta`, `support`, `done` or `error`. Absent on the routes of OpenAI's API.
    #[schema(example = "delta")]
    event: Option<String>,
    /// JSON. Of `retrieved` the `passages`, of `delta` more `text`, of `support` a `SentenceSupportView`, of `done` a `QueryAnswer` or
    /// `WriteAnswer`, of `error` a `Problem`; on the routes of OpenAI's API a `ChatChunk`, and at the end the text `[DONE]`.
    data: String,
}

/// Names the query in the log and in traces.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Comments in a silent stream, so that nothing on the way takes it for dead.
pub fn keep_alive(app: &App) -> KeepAlive {
    KeepAlive::new().interval(Duration::from_secs(app.options.keep_alive_s))
}

/// A step as an event of its name. `done` makes the end's data of what was written and the milliseconds that it took.
pub fn step_event<A: Serialize>(step: Step, done: impl Fn(WrittenText, f64) -> A) -> Event {
    match step {
        Step::Retrieved(passages) => {
            let passages: Vec<_> = passages.into_iter().map(Shown::shown).collect();
            json_event("retrieved", &serde_json::json!({ "passages": passages }))
        }
        Step::Text(text) | Step::Abstained(text) => json_event("delta", &serde_json::json!({ "text": text })),
        Step::Support(sentence) => json_event("support", &sentence.shown()),
        Step::Done(written, total_ms) => json_event("done", &done(*written, total_ms)),
        Step::Failed(failure) => json_event("error", &Problem::from(failure)),
    }
}

fn json_event(name: &str, data: &impl Serialize) -> Event {
    // The views have string keys only and no failing `Serialize` implementation of their own.
    let text = serde_json::to_string(data).expect("a view serialises to JSON");
    Event::default().event(name).data(text)
}
