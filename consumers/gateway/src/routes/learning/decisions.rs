//! What people decide: which model versions may serve, and which one does.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::Utc;
use twin_api::{Decision, DeploymentFilter, DeploymentList, DeploymentView, ModelVersionView};
use twin_registry::By;
use twin_schemas::{AuthorId, ModelId};

use super::{WHY_MAX_CHARS, check_by, find_model, newest_first};
use crate::extract::{Checks, Json, Path, Query};
use crate::list::{List, Part};
use crate::problem::Problem;
use crate::problem_responses::{ReadProblems, StepProblems};
use crate::state::App;
use crate::views::Shown;

const LIST: List = newest_first("deployments");

/// What was decided now.
fn check(Decision { by, why }: Decision) -> Result<By, Problem> {
    let mut checks = Checks::default();
    check_by(&mut checks, &by);
    let short = why.chars().count() <= WHY_MAX_CHARS;
    checks.require(short, "why", format!("is longer than {WHY_MAX_CHARS} characters"));
    checks.finish()?;
    Ok(By::new(by, why, Utc::now()))
}

type Deployed = Result<(StatusCode, axum::Json<DeploymentView>), Problem>;

/// Let an evaluated model version serve, and deploy it.
///
/// Refused (409) for one that is not evaluated, did not pass or was rejected.
#[utoipa::path(
    post, path = "/v1/model-versions/{id}/approve", operation_id = "approve_model_version", tag = "learning",
    params(("id" = String, Path, description = "Its name", example = "ada-v3")), request_body = Decision,
    responses((status = 202, description = "Approved, and to be taken up by the workers", body = DeploymentView), StepProblems)
)]
pub async fn approve(State(app): State<Arc<App>>, Path(id): Path<String>, Json(decision): Json<Decision>) -> Deployed {
    let registry = &app.learning()?.registry;
    let by = check(decision)?;
    let deployment = registry.approve(&ModelId(id), by).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(deployment.shown())))
}

/// Keep a model version from ever serving.
///
/// Refused (409) while it is in production.
#[utoipa::path(
    post, path = "/v1/model-versions/{id}/reject", operation_id = "reject_model_version", tag = "learning",
    params(("id" = String, Path, description = "Its name", example = "ada-v3")), request_body = Decision,
    responses((status = 200, description = "Rejected", body = ModelVersionView), StepProblems)
)]
pub async fn reject(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Json(decision): Json<Decision>,
) -> Result<axum::Json<ModelVersionView>, Problem> {
    let registry = &app.learning()?.registry;
    let by = check(decision)?;
    registry.reject(&ModelId(id.clone()), by).await?;
    Ok(axum::Json(find_model(registry, id).await?.shown()))
}

/// Deploy a model version that was approved before.
#[utoipa::path(
    post, path = "/v1/model-versions/{id}/deploy", operation_id = "deploy_model_version", tag = "learning",
    params(("id" = String, Path, description = "Its name", example = "ada-v3")), request_body = Decision,
    responses((status = 202, description = "To be taken up by the workers", body = DeploymentView), StepProblems)
)]
pub async fn deploy(State(app): State<Arc<App>>, Path(id): Path<String>, Json(decision): Json<Decision>) -> Deployed {
    let registry = &app.learning()?.registry;
    let by = check(decision)?;
    let deployment = registry.deploy(&ModelId(id), by).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(deployment.shown())))
}

/// Go back to what served before the present model version: an earlier one, or the base model.
///
/// Two rollbacks in a row go two versions back.
#[utoipa::path(
    post, path = "/v1/authors/{author}/rollback", operation_id = "roll_back", tag = "learning",
    params(("author" = String, Path, description = "The author")), request_body = Decision,
    responses((status = 202, description = "To be taken up by the workers", body = DeploymentView), StepProblems)
)]
pub async fn roll_back(
    State(app): State<Arc<App>>,
    Path(author): Path<AuthorId>,
    Json(decision): Json<Decision>,
) -> Deployed {
    let registry = &app.learning()?.registry;
    let by = check(decision)?;
    let deployment = registry.roll_back(&author, by).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(deployment.shown())))
}

/// List the deployments for an author.
#[utoipa::path(
    get, path = "/v1/authors/{author}/deployments", operation_id = "list_deployments", tag = "learning",
    params(("author" = String, Path, description = "The author"), DeploymentFilter),
    responses((status = 200, description = "Deployments, newest first", body = DeploymentList), ReadProblems)
)]
pub async fn deployments(
    State(app): State<Arc<App>>,
    Path(author): Path<AuthorId>,
    Query(filter): Query<DeploymentFilter>,
) -> Result<axum::Json<DeploymentList>, Problem> {
    let Part { limit, from } = LIST.part(filter.limit, filter.before.as_deref())?;
    let registry = &app.learning()?.registry;
    let page = registry.list_deployments(&author, from.as_ref(), limit).await?;
    let in_production = registry.production(&author).await?.and_then(|deployment| deployment.model);
    Ok(axum::Json(DeploymentList {
        deployments: page.items.into_iter().map(Shown::shown).collect(),
        next: LIST.next(page.next),
        in_production: in_production.map(|model| model.0),
    }))
}
