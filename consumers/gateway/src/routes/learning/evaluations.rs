//! Evaluations of model versions, and their reports.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde_json::Value;
use twin_api::EvaluationView;
use twin_registry::{EvaluationRow, ModelRow, Registry};

use super::{find_model, json_artifact};
use crate::extract::Path;
use crate::problem::Problem;
use crate::problem_responses::{ReadProblems, StepProblems};
use crate::state::App;
use crate::views::Shown;

/// The page quotes documents and answers of models: nothing in it may run, load, be sent or be framed.
pub(super) const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'; sandbox";

/// Queue the evaluation of a model version, or queue one again that failed.
#[utoipa::path(
    post, path = "/v1/model-versions/{id}/evaluate", operation_id = "evaluate_model_version", tag = "learning",
    params(("id" = String, Path, description = "The model version's name", example = "ada-v3")),
    responses((status = 202, description = "Queued", body = EvaluationView), StepProblems)
)]
pub async fn evaluate(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, axum::Json<EvaluationView>), Problem> {
    let registry = &app.learning()?.registry;
    let model = find_model(registry, id).await?.model;
    let now = Utc::now();
    let queued = registry.queue_evaluation(&model, now).await? || registry.retry_evaluation(&model, now).await?;
    let row = registry.evaluation(&model).await?;
    let row = row.ok_or_else(|| Problem::not_found(format!("there is no evaluation of {model}")))?;
    if !queued {
        let state = row.state.shown().as_str();
        return Err(Problem::refused(format!("the evaluation of {model} is {state}: only a failed one is done again")));
    }
    Ok((StatusCode::ACCEPTED, axum::Json(row.shown())))
}

/// Read the report of a model version's evaluation.
#[utoipa::path(
    get, path = "/v1/model-versions/{id}/report", operation_id = "show_report", tag = "learning",
    params(("id" = String, Path, description = "The model version's name", example = "ada-v3")),
    responses((status = 200, description = "The report", body = Object), ReadProblems)
)]
pub async fn report(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<axum::Json<Value>, Problem> {
    let learning = app.learning()?;
    let (model, evaluation) = evaluation_of(&learning.registry, id).await?;
    let name = evaluation.as_ref().and_then(|row| row.report.as_deref());
    let name = name.ok_or_else(|| no_report(&model, evaluation.as_ref()))?;
    Ok(axum::Json(json_artifact(&learning.artifacts, name).await?))
}

/// Read the report of a model version's evaluation as a page.
#[utoipa::path(
    get, path = "/v1/model-versions/{id}/report.html", operation_id = "show_report_page", tag = "learning",
    params(("id" = String, Path, description = "The model version's name", example = "ada-v3")),
    responses((status = 200, description = "The page", content_type = "text/html", body = String), ReadProblems)
)]
pub async fn page(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let learning = app.learning()?;
    let (model, evaluation) = evaluation_of(&learning.registry, id).await?;
    let name = evaluation.as_ref().and_then(|row| row.page.as_deref());
    let name = name.ok_or_else(|| no_report(&model, evaluation.as_ref()))?;
    let content = learning.artifacts.get(name).await?;
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, Body::from(content)).into_response())
}

async fn evaluation_of(registry: &Registry, id: String) -> Result<(ModelRow, Option<EvaluationRow>), Problem> {
    let row = find_model(registry, id).await?;
    let evaluation = registry.evaluation(&row.model).await?;
    Ok((row, evaluation))
}

fn no_report(model: &ModelRow, evaluation: Option<&EvaluationRow>) -> Problem {
    let why = match evaluation {
        None => "no evaluation was queued".to_owned(),
        Some(EvaluationRow { reason: Some(reason), .. }) => format!("its evaluation failed: {reason}"),
        Some(row) => format!("its evaluation is {}", row.state.shown().as_str()),
    };
    Problem::not_found(format!("{} has no report: {why}", model.model))
}
