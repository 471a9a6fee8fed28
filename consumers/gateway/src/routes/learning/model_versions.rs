//! `/v1/model-versions`: the models that were trained, and what they came from.

use std::sync::Arc;

use axum::extract::State;
use twin_api::{AuthorAndLimit, LineageFilter, LineageView, ModelVersionDetail, ModelVersionList, TaughtModels};
use twin_registry::read_dataset_manifest;
use twin_schemas::{DocumentId, ModelId};
use twin_warehouse::LOOK_UP_MAX;

use super::model_views::lineage_view;
use super::{find_model, newest_first};
use crate::extract::{Path, Query};
use crate::list::{List, Part};
use crate::problem::Problem;
use crate::problem_responses::ReadProblems;
use crate::state::App;
use crate::views::Shown;

const LIST: List = newest_first("model-versions");
/// Documents of a version's lineage.
const TAUGHT: List = List { name: "lineage", cursor: "after", default: 1_000, max: 1_000 };

/// List model versions.
#[utoipa::path(
    get, path = "/v1/model-versions", operation_id = "list_model_versions", tag = "learning", params(AuthorAndLimit),
    responses((status = 200, description = "Model versions, newest first", body = ModelVersionList), ReadProblems)
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Query(filter): Query<AuthorAndLimit>,
) -> Result<axum::Json<ModelVersionList>, Problem> {
    let Part { limit, from } = LIST.part(filter.limit, filter.before.as_deref())?;
    let page = app.learning()?.registry.list_models(filter.author.as_ref(), from.as_ref(), limit).await?;
    let model_versions = page.items.into_iter().map(Shown::shown).collect();
    Ok(axum::Json(ModelVersionList { model_versions, next: LIST.next(page.next) }))
}

/// Show a model version, its evaluation and what was decided about it.
#[utoipa::path(
    get, path = "/v1/model-versions/{id}", operation_id = "show_model_version", tag = "learning",
    params(("id" = String, Path, description = "Its name", example = "ada-v3")),
    responses((status = 200, description = "The model version", body = ModelVersionDetail), ReadProblems)
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<axum::Json<ModelVersionDetail>, Problem> {
    let registry = &app.learning()?.registry;
    let row = find_model(registry, id).await?;
    let evaluation = registry.evaluation(&row.model).await?.map(Shown::shown);
    let decisions = registry.decisions_about(&row.model).await?.into_iter().map(Shown::shown).collect();
    let plan = registry.job(&row.job.0).await?.and_then(|job| job.progress?.plan).map(Shown::shown);
    Ok(axum::Json(ModelVersionDetail { model: row.shown(), evaluation, decisions, plan }))
}

/// Show what a model version came from: its job, its dataset version and the documents that taught it.
#[utoipa::path(
    get, path = "/v1/model-versions/{id}/lineage", operation_id = "show_lineage", tag = "learning",
    params(("id" = String, Path, description = "The model version's name", example = "ada-v3"), LineageFilter),
    responses((status = 200, description = "What it came from", body = LineageView), ReadProblems)
)]
pub async fn lineage(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(filter): Query<LineageFilter>,
) -> Result<axum::Json<LineageView>, Problem> {
    let Part { limit, from } = TAUGHT.part(filter.limit, filter.after.as_deref())?;
    let learning = app.learning()?;
    let mut lineage = learning.registry.lineage(&ModelId(id)).await?;
    if !lineage.split_known {
        match read_dataset_manifest(&learning.artifacts, &lineage.dataset.manifest).await {
            Ok(manifest) => lineage.told_by(&manifest),
            Err(error) if error.is_transient() => return Err(error.into()),
            // It is said that the split is not known.
            Err(_) => {}
        }
    }
    let documents = lineage.part(from.as_ref(), limit);
    let ids: Vec<DocumentId> = documents.items.iter().map(|document| document.document_id).collect();
    let mut known = Vec::with_capacity(ids.len());
    for ids in ids.chunks(LOOK_UP_MAX) {
        known.extend(app.warehouse.summaries(ids).await?);
    }
    let next = TAUGHT.next(documents.next);
    Ok(axum::Json(lineage_view(lineage, documents.items, &known, next)))
}

/// List the model versions that a document taught: those whose dataset version has it in its train split, and those with
/// folds whose adapters learned from it.
///
/// A document that was deleted, or that this twin has never seen, is asked for like any other.
#[utoipa::path(
    get, path = "/v1/documents/{id}/models", operation_id = "list_models_of_document", tag = "learning",
    params(("id" = uuid::Uuid, Path, description = "The document")),
    responses((status = 200, description = "Model versions, oldest first", body = TaughtModels), ReadProblems)
)]
pub async fn taught_by(
    State(app): State<Arc<App>>,
    Path(id): Path<DocumentId>,
) -> Result<axum::Json<TaughtModels>, Problem> {
    let learning = app.learning()?;
    let models = learning.registry.models_taught_by(&learning.artifacts, id).await?;
    Ok(axum::Json(TaughtModels { document_id: id.0, models: models.into_iter().map(|model| model.0).collect() }))
}
