//! `/v1/dlq`: events that a stage gave up on.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use twin_api::{DeadLetterFilter, DeadLetterList, DeadLetterView, Replayed};
use twin_stream::{DeadLetterCursor, NoCursor};

use crate::extract::{Checks, Path, Query};
use crate::problem::Problem;
use crate::problem_responses::ReadProblems;
use crate::state::App;

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 1_000;

/// List dead letters.
#[utoipa::path(
    get, path = "/v1/dlq", operation_id = "list_dead_letters", tag = "operations", params(DeadLetterFilter),
    responses((status = 200, description = "Dead letters, newest first", body = DeadLetterList), ReadProblems)
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Query(filter): Query<DeadLetterFilter>,
) -> Result<axum::Json<DeadLetterList>, Problem> {
    let limit = filter.limit.unwrap_or(LIMIT_DEFAULT);
    let mut checks = Checks::default();
    checks.require((1..=LIMIT_MAX).contains(&limit), "limit", format!("must be 1 to {LIMIT_MAX}"));
    let before = filter.before.map(|before| before.parse::<DeadLetterCursor>()).transpose();
    checks.require(before.is_ok(), "before", NoCursor.to_string());
    checks.finish()?;
    let before = before.unwrap_or_default();
    let (dead_letters, next) = app.dead_letters.list(filter.topic.as_deref(), before.as_ref(), limit).await?;
    Ok(axum::Json(DeadLetterList { dead_letters, next: next.map(|next| next.to_string()) }))
}

/// Show a dead letter, with its payload.
#[utoipa::path(
    get, path = "/v1/dlq/{id}", operation_id = "show_dead_letter", tag = "operations",
    params(("id" = String, Path, description = "The dead letter")),
    responses((status = 200, description = "The dead letter", body = DeadLetterView), ReadProblems)
)]
pub async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<axum::Json<DeadLetterView>, Problem> {
    let found = app.dead_letters.show(&id).await?;
    found.map(axum::Json).ok_or_else(|| not_found(&id))
}

/// Replay a dead letter: append it to its topic again, for the stage that gave up.
#[utoipa::path(
    post, path = "/v1/dlq/{id}/replay", operation_id = "replay_dead_letter", tag = "operations",
    params(("id" = String, Path, description = "The dead letter")),
    responses((status = 202, description = "Appended again", body = Replayed), ReadProblems)
)]
pub async fn replay(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, axum::Json<Replayed>), Problem> {
    let position = app.dead_letters.replay(&id).await?.ok_or_else(|| not_found(&id))?;
    Ok((StatusCode::ACCEPTED, axum::Json(Replayed { position })))
}

fn not_found(id: &str) -> Problem {
    Problem::not_found(format!("there is no dead letter {id:?}; GET /v1/dlq lists those that there are"))
}
