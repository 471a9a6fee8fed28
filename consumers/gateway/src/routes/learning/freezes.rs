//! Requests to freeze a dataset version now, whatever the policy says.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::Utc;
use twin_api::{FreezeView, NewFreeze};
use twin_schemas::AuthorId;

use super::checked_by;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::problem_responses::{ReadProblems, StepProblems};
use crate::state::App;
use crate::views::Shown;

/// Ask for a dataset version to be frozen now.
///
/// A request that is open already stays as it is. What came of it is told by `GET /v1/datasets/requests/{author}`.
#[utoipa::path(
    post, path = "/v1/datasets", operation_id = "freeze_dataset", tag = "learning", request_body = NewFreeze,
    responses((status = 202, description = "Asked for", body = FreezeView), StepProblems)
)]
pub async fn request(
    State(app): State<Arc<App>>,
    Json(request): Json<NewFreeze>,
) -> Result<(StatusCode, axum::Json<FreezeView>), Problem> {
    let registry = &app.learning()?.registry;
    let by = checked_by(request.by)?;
    let author = app.author(request.author).await?;
    registry.request_freeze(&author, &by, Utc::now()).await?;
    let request = registry.freeze_request(&author).await?.ok_or_else(|| not_found(&author))?;
    Ok((StatusCode::ACCEPTED, axum::Json(request.shown())))
}

/// Show the last request for an author's dataset version, open or answered.
#[utoipa::path(
    get, path = "/v1/datasets/requests/{author}", operation_id = "show_freeze_request", tag = "learning",
    params(("author" = String, Path, description = "The author")),
    responses((status = 200, description = "The request", body = FreezeView), ReadProblems)
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Path(author): Path<AuthorId>,
) -> Result<axum::Json<FreezeView>, Problem> {
    let found = app.learning()?.registry.freeze_request(&author).await?;
    Ok(axum::Json(found.ok_or_else(|| not_found(&author))?.shown()))
}

fn not_found(author: &AuthorId) -> Problem {
    Problem::not_found(format!("nobody has asked for a dataset version of {author}; POST /v1/datasets asks for one"))
}
