//! Evaluations of model versions, and their reports.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde_json::Value;
use twin_api::{EvaluationRequest, EvaluationView};
use twin_registry::{EvaluationRow, MeasureChanges, ModelRow, Registry};

use super::{checked_by, find_model, json_artifact};
use crate::extract::{Checks, Json, Path};
use crate::problem::Problem;
use crate::problem_responses::{ReadProblems, StepProblems};
use crate::state::App;
use crate::views::Shown;

/// Samples of a kind that an evaluation can be asked for: each is answered by up to three models.
const SAMPLES_MAX: u32 = 10_000;

/// The page quotes documents and answers of models: nothing in it may run, load, be sent or be framed.
pub(super) const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'; sandbox";

/// What is to be measured otherwise than configured, and who wants it.
fn checked(request: EvaluationRequest) -> Result<(MeasureChanges, String), Problem> {
    let by = checked_by(request.by)?;
    let mut checks = Checks::default();
    let numbers = [
        ("max_voice", request.max_voice, 0),
        ("max_grounded", request.max_grounded, 0),
        ("max_refusal", request.max_refusal, 0),
        ("max_asked", request.max_asked, 0),
        ("max_judged", request.max_judged, 0),
        ("min_samples", request.min_samples, 1),
        ("min_documents", request.min_documents, 1),
    ];
    for (field, number, least) in numbers {
        let is_in_range = number.is_none_or(|number| (least..=SAMPLES_MAX).contains(&number));
        checks.require(is_in_range, field, format!("must be {least} to {SAMPLES_MAX}"));
    }
    let is_level = request.confidence.is_none_or(|level| level > 0.5 && level < 1.0);
    checks.require(is_level, "confidence", "must be above 0.5 and below 1");
    checks.finish()?;
    let changes = MeasureChanges {
        max_voice: request.max_voice,
        max_grounded: request.max_grounded,
        max_refusal: request.max_refusal,
        max_asked: request.max_asked,
        max_judged: request.max_judged,
        primary: request.primary.map(|metric| metric.as_str().to_owned()),
        guard_rule: request.guard_rule.map(|rule| rule.as_str().to_owned()),
        confidence: request.confidence,
        min_samples: request.min_samples,
        min_documents: request.min_documents,
    };
    Ok((changes, by))
}

/// Queue the evaluation of a model version, also once more: on more samples, by another policy, or because what answers has
/// changed since.
///
/// Each evaluation against the same production asks for more, so that repetition alone makes no model better. Refused (409)
/// while one is under way, once the version is approved or rejected, and where the same would be found.
#[utoipa::path(
    post, path = "/v1/model-versions/{id}/evaluate", operation_id = "evaluate_model_version", tag = "learning",
    params(("id" = String, Path, description = "The model version's name", example = "ada-v3")),
    request_body = Option<EvaluationRequest>,
    responses((status = 202, description = "Queued", body = EvaluationView), StepProblems)
)]
pub async fn evaluate(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Option<Json<EvaluationRequest>>,
) -> Result<(StatusCode, axum::Json<EvaluationView>), Problem> {
    let registry = &app.learning()?.registry;
    let (changes, by) = checked(body.map(|Json(request)| request).unwrap_or_default())?;
    let model = find_model(registry, id).await?.model;
    registry.evaluate_again(&model, changes, &by, Utc::now()).await?;
    let row = registry.evaluation(&model).await?;
    let row = row.ok_or_else(|| Problem::not_found(format!("there is no evaluation of {model}")))?;
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
        None => format!("no evaluation was queued; POST /v1/model-versions/{}/evaluate queues one", model.model),
        Some(EvaluationRow { reason: Some(reason), .. }) => format!("its evaluation failed: {reason}"),
        Some(row) => format!("its evaluation is {}", row.state.shown().as_str()),
    };
    Problem::not_found(format!("{} has no report: {why}", model.model))
}
