//! `POST /v1/query` and `POST /v1/retrieve`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::Sse;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use twin_api::{QueryAnswer, QueryRequest, RetrieveAnswer, RetrieveRequest, Speaker, Turn};
use twin_schemas::{
    Answered, AuthorId, ChatMessage, QueryFilter, QueryKind, ResponseFormat, Role, Sampling, WrittenText,
};

use crate::ask::{Part, Question};
use crate::extract::{Checks, Json};
use crate::problem::Problem;
use crate::problem_responses::QueryProblems;
use crate::routes::streamed::{REQUEST_ID, ServerSentEvent, keep_alive, step_event};
use crate::state::{App, trace_parent};
use crate::steps::{steps, whole};
use crate::views::{Shown, citations, timings};

fn answer(mut answered: Answered, total_ms: f64) -> QueryAnswer {
    QueryAnswer {
        given: answered.citations.len(),
        citations: citations(&mut answered),
        answer: answered.text,
        abstained: answered.abstained,
        mode: answered.mode,
        searched_question: answered.searched_question,
        model: answered.model,
        finish_reason: answered.finish_reason,
        usage: answered.usage.shown(),
        timings_ms: timings(total_ms, answered.timings),
        check: answered.check.shown(),
    }
}

/// Ask a twin.
///
/// The answer rests on passages of what its author published and cites them. What a model writes is checked against them:
/// `support` says of each sentence whether a passage says so, and an answer of which they support too little is replaced by
/// quotations. A client that goes away, whether the
/// answer is streamed or not, stops the work on it.
#[utoipa::path(
    post, path = "/v1/query", tag = "twin", request_body = QueryRequest,
    responses(
        (status = 200, description = "The answer; with `stream` as server-sent events", content(
            (QueryAnswer = "application/json"), (ServerSentEvent = "text/event-stream")
        ), headers(("x-request-id" = String, description = "Names the question in the log"))),
        QueryProblems
    )
)]
pub async fn query(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(request): Json<QueryRequest>,
) -> Result<Response, Problem> {
    let stream = request.stream;
    let filter = QueryFilter { category: request.category, ..QueryFilter::default() };
    let text = Text { field: "question", text: request.question, history: request.history };
    let question = question(&app, &headers, QueryKind::Answer, text, request.author, request.k, filter).await?;
    let mut answering = app.asker.ask(question).await?;
    let request_id = answering.request_id().to_string();
    if !stream {
        let (written, total_ms) = whole(answering).await?;
        let answer = answer(written.answered, total_ms);
        return Ok(([(REQUEST_ID, request_id)], axum::Json(answer)).into_response());
    }
    // A query that fails before its first part fails with its HTTP status, not with a stream.
    let first = answering.next().await?;
    let done = |written: WrittenText, total_ms| answer(written.answered, total_ms);
    let events = steps(answering, first).map(move |step| Ok::<_, Infallible>(step_event(step, done)));
    Ok(([(REQUEST_ID, request_id)], Sse::new(events).keep_alive(keep_alive(&app))).into_response())
}

/// Find passages, without an answer.
///
/// The search that answers rest on: the author's passages of live revisions only.
#[utoipa::path(
    post, path = "/v1/retrieve", tag = "twin", request_body = RetrieveRequest,
    responses(
        (
            status = 200, description = "What was found", body = RetrieveAnswer,
            headers(("x-request-id" = String, description = "Names the question in the log"))
        ),
        QueryProblems
    )
)]
pub async fn retrieve(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(request): Json<RetrieveRequest>,
) -> Result<Response, Problem> {
    let mut checks = Checks::default();
    if let (Some(after), Some(before)) = (request.published_after, request.published_before) {
        checks.require(after < before, "published_before", "must be later than published_after");
    }
    checks.finish()?;
    let filter = QueryFilter {
        category: request.category,
        source_kind: request.source_kind,
        published_after: request.published_after,
        published_before: request.published_before,
    };
    let text = Text { field: "query", text: request.query, history: Vec::new() };
    let question = question(&app, &headers, QueryKind::Retrieve, text, request.author, request.k, filter).await?;
    let mut answering = app.asker.ask(question).await?;
    let request_id = answering.request_id().to_string();
    loop {
        if let Part::Retrieved(passages, stages) = answering.next().await? {
            answering.complete("retrieved");
            let hits = passages.into_iter().map(Shown::shown).collect();
            let timings_ms = timings(answering.elapsed_ms(), stages);
            return Ok(([(REQUEST_ID, request_id)], axum::Json(RetrieveAnswer { hits, timings_ms })).into_response());
        }
    }
}

/// A text with the field that it came in, and what was said before.
pub struct Text {
    pub field: &'static str,
    pub text: String,
    pub history: Vec<Turn>,
}

/// A question in good order, of an author who has anything.
pub async fn question(
    app: &App,
    headers: &HeaderMap,
    kind: QueryKind,
    text: Text,
    author: Option<AuthorId>,
    k: Option<u32>,
    filter: QueryFilter,
) -> Result<Question, Problem> {
    let Text { field, text, history } = text;
    let max_chars = app.options.max_question_chars;
    let max_k = app.options.max_k;
    let mut checks = Checks::default();
    checks.require(!text.trim().is_empty(), field, "must not be empty");
    let chars = text.chars().count() as u64;
    checks.require(chars <= max_chars, field, format!("is longer than {max_chars} characters"));
    let max_all_chars = app.options.max_conversation_chars;
    let all_chars = history.iter().map(|turn| turn.content.chars().count() as u64).sum::<u64>() + chars;
    let too_long = format!("is with the {field} longer than {max_all_chars} characters");
    checks.require(history.is_empty() || all_chars <= max_all_chars, "history", too_long);
    checks.require(k.is_none_or(|k| (1..=max_k).contains(&k)), "k", format!("must be 1 to {max_k}"));
    checks.finish()?;
    Ok(Question {
        permit: app.asker.admit(kind.into())?,
        author: app.author(author).await?,
        kind,
        messages: conversation(history, text),
        k: k.unwrap_or(app.options.k),
        filter,
        sampling: Sampling::default(),
        format: ResponseFormat::Text,
        writing: None,
        trace_parent: trace_parent(headers),
    })
}

/// What was said before, and the question behind it.
fn conversation(history: Vec<Turn>, question: String) -> Vec<ChatMessage> {
    let earlier = history.into_iter().map(|Turn { role, content }| {
        let role = match role {
            Speaker::User => Role::User,
            Speaker::Assistant => Role::Assistant,
        };
        ChatMessage { role, content }
    });
    earlier.chain([ChatMessage { role: Role::User, content: question }]).collect()
}
