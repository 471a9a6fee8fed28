//! `POST /v1/chat/completions`, as OpenAI clients call it.

mod check;
mod format;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod unsupported;

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use futures::{StreamExt, stream};
use twin_schemas::{QueryFilter, QueryKind};

use crate::ask::{Kind, Question};
use crate::extract::Json;
use crate::problem::Problem;
use crate::problem_responses::ChatProblems;
use crate::routes::streamed::{REQUEST_ID, ServerSentEvent, keep_alive};
use crate::state::{App, trace_parent};
use crate::steps::{Step, steps, whole};

pub use request::{ChatRequest, MODEL_PREFIX};
pub use response::{ChatChunk, ChatCompletion};
use response::{Completion, data};

/// Create a chat completion (OpenAI's API).
///
/// For every client of that API: the model is `twin/<author>`. Every field of the API is honoured, or refused by its name,
/// but for those that are said to change nothing. Besides the API's own fields the answer has `citations`, `abstained`,
/// `mode`, `finish_detail`, `searched_question` and what the check of a generated text has found. Where a
/// `response_format` asks for JSON and the twin does not know, that is a `refusal`. Problems have OpenAI's `error` member
/// too.
#[utoipa::path(
    post, path = "/v1/chat/completions", operation_id = "create_chat_completion", tag = "openai",
    request_body = ChatRequest,
    responses(
        (status = 200, description = "The completion; with `stream` chunks as events, then `[DONE]`", content(
            (ChatCompletion = "application/json"), (ServerSentEvent = "text/event-stream")
        ), headers(("x-request-id" = String, description = "Names the question in the log"))),
        ChatProblems
    )
)]
pub async fn completions(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(request): Json<ChatRequest>,
) -> Result<Response, Problem> {
    let model = request.model.clone();
    let stream = request.stream == Some(true);
    let include_usage = request.stream_options.as_ref().is_some_and(|options| options.include_usage == Some(true));
    let conversation = request.check(&app.options)?;
    let is_text = conversation.format.is_text();
    let question = Question {
        permit: app.asker.admit(Kind::Answer)?,
        author: app.author(Some(conversation.author)).await?,
        kind: QueryKind::Answer,
        messages: conversation.messages,
        k: app.options.k,
        filter: QueryFilter::default(),
        sampling: conversation.sampling,
        format: conversation.format,
        writing: None,
        trace_parent: trace_parent(&headers),
    };
    let mut answering = app.asker.ask(question).await?;
    let request_id = answering.request_id().to_string();
    let id = format!("chatcmpl-{request_id}");
    let completion = Completion { id, created: Utc::now().timestamp(), model, include_usage, is_text };
    if !stream {
        let (written, _) = whole(answering).await?;
        return Ok(([(REQUEST_ID, request_id)], axum::Json(completion.whole(written.answered))).into_response());
    }
    // A query that fails before its first part fails with its HTTP status, not with a stream.
    let first = answering.next().await?;
    let opening = stream::iter([data(&completion.opening())]);
    let rest = steps(answering, first).flat_map(move |step| stream::iter(step_events(&completion, step)));
    let events = opening.chain(rest).map(Ok::<_, Infallible>);
    Ok(([(REQUEST_ID, request_id)], Sse::new(events).keep_alive(keep_alive(&app))).into_response())
}

fn step_events(completion: &Completion, step: Step) -> Vec<Event> {
    match step {
        // The last chunk has what was found of all sentences.
        Step::Retrieved(_) | Step::Support(_) => Vec::new(),
        Step::Text(text) => vec![data(&completion.text(text))],
        Step::Abstained(text) => vec![data(&completion.abstention(text))],
        Step::Done(written, _) => {
            let mut events: Vec<Event> = completion.closing(written.answered).iter().map(data).collect();
            events.push(Event::default().data("[DONE]"));
            events
        }
        // Clients take a chunk with an `error` member for the end.
        Step::Failed(failure) => vec![data(&Problem::from(failure).for_openai())],
    }
}
