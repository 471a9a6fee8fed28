//! `POST /v1/write`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::Sse;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use twin_api::{CopiedView, WriteAnswer, WriteRequest};
use twin_schemas::{Category, Copied, QueryFilter, QueryKind, Writing, WrittenText};

use crate::ask::Question;
use crate::extract::{Checks, Json};
use crate::problem::Problem;
use crate::problem_responses::QueryProblems;
use crate::routes::query::{Text, question};
use crate::routes::streamed::{REQUEST_ID, ServerSentEvent, keep_alive, step_event};
use crate::state::App;
use crate::steps::{steps, whole};
use crate::views::{Shown, citations, timings};

/// Words of a text, at most: some ten thousand tokens.
const MAX_WORDS: u32 = 5_000;

impl Shown for Copied {
    type View = CopiedView;

    fn shown(self) -> CopiedView {
        CopiedView { text: self.text, marker: self.marker, citation: self.passage.shown() }
    }
}

fn answer(written: WrittenText, total_ms: f64) -> WriteAnswer {
    let WrittenText { mut answered, voice, examples, copied } = written;
    WriteAnswer {
        citations: citations(&mut answered),
        text: answered.text,
        abstained: answered.abstained,
        model: answered.model,
        voice,
        examples: examples.into_iter().map(Shown::shown).collect(),
        copied: copied.into_iter().map(Shown::shown).collect(),
        finish_reason: answered.finish_reason,
        usage: answered.usage.shown(),
        timings_ms: timings(total_ms, answered.timings),
        check: answered.check.shown(),
    }
}

/// Write a text in an author's voice.
///
/// By the version that was trained on the author, or by another model that is shown examples of how the author writes.
/// Facts come from passages that are found for the instruction, and are cited; `support` says of each sentence whether one
/// of them says so. What the text copies without quotation marks is told with it. A client that goes away stops the work on it.
#[utoipa::path(
    post, path = "/v1/write", tag = "twin", request_body = WriteRequest,
    responses(
        (status = 200, description = "The text; with `stream` as server-sent events", content(
            (WriteAnswer = "application/json"), (ServerSentEvent = "text/event-stream")
        ), headers(("x-request-id" = String, description = "Names the question in the log"))),
        QueryProblems
    )
)]
pub async fn write(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(request): Json<WriteRequest>,
) -> Result<Response, Problem> {
    let WriteRequest { instruction, author, category, words, facts, stream } = request;
    let category = category.unwrap_or(Category::Article);
    let mut checks = Checks::default();
    checks.require(category != Category::Code, "category", "must be article or post: a twin writes prose");
    let is_length = words.is_none_or(|words| (1..=MAX_WORDS).contains(&words));
    checks.require(is_length, "words", format!("must be 1 to {MAX_WORDS}"));
    checks.finish()?;
    let text = Text { field: "instruction", text: instruction, history: Vec::new() };
    let asked = question(&app, &headers, QueryKind::Write, text, author, None, QueryFilter::default()).await?;
    let writing = Some(Writing { category, words, facts });
    let mut answering = app.asker.ask(Question { writing, ..asked }).await?;
    let request_id = answering.request_id().to_string();
    if !stream {
        let (written, total_ms) = whole(answering).await?;
        return Ok(([(REQUEST_ID, request_id)], axum::Json(answer(*written, total_ms))).into_response());
    }
    // A query that fails before its first part fails with its HTTP status, not with a stream.
    let first = answering.next().await?;
    let events = steps(answering, first).map(|step| Ok::<_, Infallible>(step_event(step, answer)));
    Ok(([(REQUEST_ID, request_id)], Sse::new(events).keep_alive(keep_alive(&app))).into_response())
}
