//! `POST /v1/query` and `POST /v1/retrieve`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use twin_schemas::{
    Answered, AuthorId, Category, ChatMessage, FinishReason, QueryFilter, QueryKind, Role, Sampling, SourceKind,
};
use utoipa::ToSchema;

use crate::ask::{Part, Question};
use crate::extract::{Checks, Json};
use crate::problem::Problem;
use crate::problem_responses::QueryProblems;
use crate::routes::streamed::{REQUEST_ID, ServerSentEvent, keep_alive};
use crate::state::{App, trace_parent};
use crate::tell::{Step, steps, whole};
use crate::views::{CitationView, PassageView, TimingsView, UsageView, citations};

/// A question for a twin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryRequest {
    /// What is asked; up to `gateway.max_question_chars` characters.
    #[schema(example = "What did you learn from rewriting the parser?")]
    question: String,
    /// Whose twin; `gateway.default_author` if absent.
    #[schema(value_type = Option<String>, example = "ada")]
    author: Option<AuthorId>,
    /// Passages to find, at most; 1 to `gateway.max_k`. The model is given the best of them, at most
    /// `llm.prompt.passages`.
    k: Option<u32>,
    /// Answer only from documents of this category: `article`, `post` or `code`.
    #[schema(value_type = Option<String>, example = "article")]
    category: Option<Category>,
    /// Answer as server-sent events: `retrieved` (`{"passages": […]}`), `delta` (`{"text": "…"}`, as often as text
    /// comes) and `done` (the whole answer), or `error` (a problem). `retrieved` may come twice before the first
    /// `delta`, where the query was worked on twice: the later one counts.
    #[serde(default)]
    stream: bool,
}

/// The twin's answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueryAnswer {
    /// The text, with markers like `[1]` where it rests on a passage.
    answer: String,
    /// The twin does not know: nothing that its author published is near enough to the question.
    abstained: bool,
    /// The passages that the model was given, by marker; none where it was not asked.
    citations: Vec<CitationView>,
    /// The model that answered.
    model: String,
    /// `stop`: the text is complete; `length`: the token limit cut it.
    #[schema(value_type = String)]
    finish_reason: FinishReason,
    /// Tokens used.
    usage: UsageView,
    /// Where the time went.
    timings_ms: TimingsView,
}

impl QueryAnswer {
    fn new(mut answered: Answered, total_ms: f64) -> Self {
        Self {
            citations: citations(&mut answered),
            answer: answered.text,
            abstained: answered.abstained,
            model: answered.model,
            finish_reason: answered.finish_reason,
            usage: answered.usage.into(),
            timings_ms: TimingsView::new(total_ms, answered.timings),
        }
    }
}

/// Ask a twin.
///
/// The answer rests on passages of what its author published and cites them. A client that goes away, whether the
/// answer is streamed or not, stops the work on it.
#[utoipa::path(
    post, path = "/v1/query", tag = "twin", request_body = QueryRequest,
    responses(
        (status = 200, description = "The answer; with `stream` as server-sent events", content(
            (QueryAnswer = "application/json"), (ServerSentEvent = "text/event-stream")
        )),
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
    let text = Text { field: "question", text: request.question };
    let question = question(&app, &headers, QueryKind::Answer, text, request.author, request.k, filter).await?;
    let mut answering = app.asker.ask(question).await?;
    let request_id = answering.request_id().to_string();
    if !stream {
        let (answered, total_ms) = whole(answering).await?;
        let answer = QueryAnswer::new(*answered, total_ms);
        return Ok(([(REQUEST_ID, request_id)], axum::Json(answer)).into_response());
    }
    // A query that fails before its first part fails with its HTTP status, not with a stream.
    let first = answering.next().await?;
    let events = steps(answering, first).map(|step| Ok::<_, Infallible>(step_event(step)));
    Ok(([(REQUEST_ID, request_id)], Sse::new(events).keep_alive(keep_alive(&app))).into_response())
}

fn step_event(step: Step) -> Event {
    match step {
        Step::Retrieved(passages) => {
            let passages: Vec<PassageView> = passages.into_iter().map(PassageView::from).collect();
            json_event("retrieved", &serde_json::json!({ "passages": passages }))
        }
        Step::Text(text) => json_event("delta", &serde_json::json!({ "text": text })),
        Step::Done(answered, total_ms) => json_event("done", &QueryAnswer::new(*answered, total_ms)),
        Step::Failed(failure) => json_event("error", &Problem::from(failure)),
    }
}

fn json_event(name: &str, data: &impl Serialize) -> Event {
    // The views have string keys only and no failing `Serialize` implementation of their own.
    let text = serde_json::to_string(data).expect("a view serialises to JSON");
    Event::default().event(name).data(text)
}

/// What to find.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrieveRequest {
    /// What is looked for; up to `gateway.max_question_chars` characters.
    #[schema(example = "error handling in parsers")]
    query: String,
    /// Whose documents; `gateway.default_author` if absent.
    #[schema(value_type = Option<String>, example = "ada")]
    author: Option<AuthorId>,
    /// Passages wanted, at most; 1 to `gateway.max_k`.
    k: Option<u32>,
    /// Only this category: `article`, `post` or `code`.
    #[schema(value_type = Option<String>, example = "article")]
    category: Option<Category>,
    /// Only this kind of source: `feed`, `git`, `folder`, `push`, ….
    #[schema(value_type = Option<String>, example = "feed")]
    source_kind: Option<SourceKind>,
    /// Published at or after.
    published_after: Option<DateTime<Utc>>,
    /// Published before.
    published_before: Option<DateTime<Utc>>,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetrieveAnswer {
    /// Best first.
    hits: Vec<PassageView>,
    /// Where the time went.
    timings_ms: TimingsView,
}

/// Find passages, without an answer.
///
/// The search that answers rest on: the author's passages of live revisions only.
#[utoipa::path(
    post, path = "/v1/retrieve", tag = "twin", request_body = RetrieveRequest,
    responses((status = 200, description = "What was found", body = RetrieveAnswer), QueryProblems)
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
    let text = Text { field: "query", text: request.query };
    let question = question(&app, &headers, QueryKind::Retrieve, text, request.author, request.k, filter).await?;
    let mut answering = app.asker.ask(question).await?;
    let request_id = answering.request_id().to_string();
    loop {
        if let Part::Retrieved(passages, timings) = answering.next().await? {
            answering.complete("retrieved");
            let hits = passages.into_iter().map(PassageView::from).collect();
            let timings_ms = TimingsView::new(answering.elapsed_ms(), timings);
            return Ok(([(REQUEST_ID, request_id)], axum::Json(RetrieveAnswer { hits, timings_ms })).into_response());
        }
    }
}

/// A text and the field that it came in.
struct Text {
    field: &'static str,
    text: String,
}

async fn question(
    app: &App,
    headers: &HeaderMap,
    kind: QueryKind,
    text: Text,
    author: Option<AuthorId>,
    k: Option<u32>,
    filter: QueryFilter,
) -> Result<Question, Problem> {
    let Text { field, text } = text;
    let max_chars = app.options.max_question_chars;
    let max_k = app.options.max_k;
    let mut checks = Checks::default();
    checks.require(!text.trim().is_empty(), field, "must not be empty");
    checks.require(text.chars().count() as u64 <= max_chars, field, format!("is longer than {max_chars} characters"));
    checks.require(k.is_none_or(|k| (1..=max_k).contains(&k)), "k", format!("must be 1 to {max_k}"));
    checks.finish()?;
    Ok(Question {
        place: app.asker.admit(kind)?,
        author: app.author(author).await?,
        kind,
        messages: vec![ChatMessage { role: Role::User, content: text }],
        k: k.unwrap_or(app.options.k),
        filter,
        sampling: Sampling::default(),
        trace_parent: trace_parent(headers),
    })
}
