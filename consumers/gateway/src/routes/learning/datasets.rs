//! `/v1/datasets`: the versions, and what changed between them.

use std::sync::Arc;

use axum::extract::State;
use twin_api::{AuthorAndLimit, DatasetDetail, DatasetDiff, DatasetList};
use twin_registry::read_dataset_manifest;

use super::{find_dataset, json_artifact, newest_first};
use crate::extract::{Path, PathPair, Query};
use crate::list::{List, Part};
use crate::problem::Problem;
use crate::problem_responses::ReadProblems;
use crate::state::App;
use crate::views::Shown;

const LIST: List = newest_first("datasets");

/// List dataset versions.
#[utoipa::path(
    get, path = "/v1/datasets", operation_id = "list_datasets", tag = "learning", params(AuthorAndLimit),
    responses((status = 200, description = "Dataset versions, newest first", body = DatasetList), ReadProblems)
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Query(filter): Query<AuthorAndLimit>,
) -> Result<axum::Json<DatasetList>, Problem> {
    let Part { limit, from } = LIST.part(filter.limit, filter.before.as_deref())?;
    let page = app.learning()?.registry.list_datasets(filter.author.as_ref(), from.as_ref(), limit).await?;
    let datasets = page.items.into_iter().map(Shown::shown).collect();
    Ok(axum::Json(DatasetList { datasets, next: LIST.next(page.next) }))
}

/// Show a dataset version and its manifest.
#[utoipa::path(
    get, path = "/v1/datasets/{id}", operation_id = "show_dataset", tag = "learning",
    params(("id" = String, Path, description = "Its id, or the beginning of it")),
    responses((status = 200, description = "The version", body = DatasetDetail), ReadProblems)
)]
pub async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<axum::Json<DatasetDetail>, Problem> {
    let learning = app.learning()?;
    let row = find_dataset(&learning.registry, &id).await?;
    let manifest = json_artifact(&learning.artifacts, &row.manifest).await?;
    Ok(axum::Json(DatasetDetail { dataset: row.shown(), manifest }))
}

/// Show what changed from one dataset version to another.
#[utoipa::path(
    get, path = "/v1/datasets/{id}/diff/{other}", operation_id = "diff_datasets", tag = "learning",
    params(
        ("id" = String, Path, description = "The version to compare from: its id, or the beginning of it"),
        ("other" = String, Path, description = "The version to compare to: its id, or the beginning of it")
    ),
    responses((status = 200, description = "What changed", body = DatasetDiff), ReadProblems)
)]
pub async fn diff(
    State(app): State<Arc<App>>,
    PathPair(from, to): PathPair,
) -> Result<axum::Json<DatasetDiff>, Problem> {
    let learning = app.learning()?;
    let (from, to) = (find_dataset(&learning.registry, &from).await?, find_dataset(&learning.registry, &to).await?);
    let from = read_dataset_manifest(&learning.artifacts, &from.manifest).await?;
    let to = read_dataset_manifest(&learning.artifacts, &to.manifest).await?;
    Ok(axum::Json(twin_registry::diff(&from, &to).shown()))
}
