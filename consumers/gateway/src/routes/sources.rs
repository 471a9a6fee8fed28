//! `/v1/sources`: what is collected, and how its last sync went.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use twin_schemas::{AuthorId, Category, SourceId};
use twin_warehouse::{LastSync, NewSource, SourceRow, SyncOutcome, Warehouse};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::extract::{Checks, Json, Path, Query};
use crate::problem::Problem;
use crate::problem_responses::{BodyProblems, ReadProblems};
use crate::state::App;

/// A year.
const INTERVAL_MAX_S: u64 = 365 * 24 * 60 * 60;
/// Deletions written at a time.
const RETRACTIONS_AT_A_TIME: usize = 64;

/// A source to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSourceRequest {
    /// Whose documents they are.
    #[schema(value_type = String, example = "ada")]
    author: AuthorId,
    /// `feed`, `git`, `folder`, …; told from the location if absent.
    #[schema(example = "feed")]
    kind: Option<String>,
    /// A URL or a path.
    #[schema(example = "https://example.org/feed.xml")]
    location: String,
    /// What its documents are, where the kind leaves it open: `article`, `post` or `code`. The prose of a git
    /// repository is code unless this says otherwise.
    #[schema(value_type = Option<String>, example = "article")]
    category: Option<Category>,
    /// Seconds between syncs, 1 to a year; `crawler.interval_s` if absent.
    interval_s: Option<u64>,
}

/// A registered source.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceView {
    /// Its id.
    id: Uuid,
    /// Whose documents they are.
    author: String,
    /// Its kind.
    kind: String,
    /// A URL or a path, in its normal form.
    location: String,
    /// What its documents are, where the kind leaves it open.
    category: Option<&'static str>,
    /// Seconds between syncs.
    interval_s: u64,
    /// When it was registered.
    created_at: DateTime<Utc>,
    /// When the next sync is due.
    next_run_at: DateTime<Utc>,
    /// The next sync may delete as many documents as it finds gone.
    deletions_confirmed: bool,
    /// Deletions that wait for `POST /v1/sources/{id}/confirm`.
    awaiting_deletions: u64,
    /// How the last sync went; null before the first.
    last_sync: Option<SyncView>,
}

/// How a sync went.
#[derive(Debug, Serialize, ToSchema)]
pub struct SyncView {
    /// `completed`, `failed` (the source could not be read; nothing was deleted) or `awaiting_confirmation` (it would
    /// have deleted more than the brake allows; everything else was done).
    #[schema(value_type = String, example = "completed")]
    status: &'static str,
    /// Why it failed, and what to do.
    reason: Option<String>,
    /// When it began.
    started_at: DateTime<Utc>,
    /// When it ended.
    finished_at: DateTime<Utc>,
    /// Documents that the source listed.
    seen: u64,
    /// Documents not seen before.
    new: u64,
    /// Documents with a new revision.
    changed: u64,
    /// Documents deleted.
    deleted: u64,
    /// Documents that could not be read, the first 100.
    failed: Vec<SyncFailureView>,
    /// How many could not be read in all.
    failed_total: u64,
}

/// A document that a sync could not read.
#[derive(Debug, Serialize, ToSchema)]
pub struct SyncFailureView {
    /// The source's own name for it.
    natural_key: String,
    /// Why.
    reason: String,
}

/// Registered sources.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceList {
    /// By author and location.
    sources: Vec<SourceView>,
}

impl From<SourceRow> for SourceView {
    fn from(row: SourceRow) -> Self {
        let awaiting_deletions = match row.last_sync.as_ref().map(|sync| &sync.outcome) {
            Some(SyncOutcome::AwaitingConfirmation { deletions }) if !row.deletions_confirmed => *deletions,
            _ => 0,
        };
        Self {
            id: row.id.0,
            author: row.source.author.to_string(),
            kind: row.source.kind.to_string(),
            location: row.source.location,
            category: row.source.category.map(Category::as_str),
            interval_s: row.source.interval_s,
            created_at: row.created_at,
            next_run_at: row.next_run_at,
            deletions_confirmed: row.deletions_confirmed,
            awaiting_deletions,
            last_sync: row.last_sync.map(SyncView::from),
        }
    }
}

impl From<LastSync> for SyncView {
    fn from(sync: LastSync) -> Self {
        let (status, reason) = match sync.outcome {
            SyncOutcome::Completed => ("completed", None),
            SyncOutcome::Failed { reason } => ("failed", Some(reason)),
            SyncOutcome::AwaitingConfirmation { .. } => ("awaiting_confirmation", None),
        };
        let failed = sync.failed.into_iter();
        Self {
            status,
            reason,
            started_at: sync.started_at,
            finished_at: sync.finished_at,
            seen: sync.seen,
            new: sync.new,
            changed: sync.changed,
            deleted: sync.deleted,
            failed: failed.map(|f| SyncFailureView { natural_key: f.natural_key, reason: f.reason }).collect(),
            failed_total: sync.failed_total,
        }
    }
}

/// Register a source.
///
/// It is synced at once and then at its interval. One that is there already (same author, kind and location) gets the
/// new settings.
#[utoipa::path(
    post, path = "/v1/sources", operation_id = "register_source", tag = "sources", request_body = NewSourceRequest,
    responses(
        (status = 201, description = "Registered", body = SourceView),
        (status = 200, description = "It was there; it has the new settings", body = SourceView),
        BodyProblems
    )
)]
pub async fn register(
    State(app): State<Arc<App>>,
    Json(request): Json<NewSourceRequest>,
) -> Result<(StatusCode, axum::Json<SourceView>), Problem> {
    let interval_s = request.interval_s.unwrap_or(app.default_interval_s);
    let mut checks = Checks::default();
    let in_range = (1..=INTERVAL_MAX_S).contains(&interval_s);
    checks.require(in_range, "interval_s", format!("must be 1 to {INTERVAL_MAX_S}"));
    checks.require(!request.location.trim().is_empty(), "location", "must not be empty");
    if let Some(kind) = &request.kind {
        let kinds = app.sources.kinds();
        checks.require(kinds.contains(&kind.as_str()), "kind", format!("must be one of {}", kinds.join(", ")));
    }
    checks.finish()?;
    let (kind, location) = resolve(&app, request.kind, request.location).await?;
    let known = app.warehouse.source(SourceId::of(&request.author, &kind, &location)).await?.is_some();
    let (author, category) = (request.author, request.category);
    let row = app.warehouse.put_source(NewSource { author, kind, location, category, interval_s }).await?;
    let status = if known { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, axum::Json(row.into())))
}

async fn resolve(
    app: &App,
    kind: Option<String>,
    location: String,
) -> Result<(twin_schemas::SourceKind, String), Problem> {
    let sources = Arc::clone(&app.sources);
    // It may look at the file system.
    let resolved = tokio::task::spawn_blocking(move || sources.resolve(kind.as_deref(), location.trim())).await;
    let resolved = resolved.map_err(|error| {
        tracing::error!(%error, "resolving a source failed");
        Problem::internal("the source could not be resolved")
    })?;
    resolved.map_err(|error| Problem::of_field("location", error))
}

/// Which sources.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SourceFilter {
    /// Only this author's.
    #[param(value_type = Option<String>, example = "ada")]
    author: Option<AuthorId>,
}

/// List sources.
#[utoipa::path(
    get, path = "/v1/sources", operation_id = "list_sources", tag = "sources", params(SourceFilter),
    responses((status = 200, description = "The sources, by author and location", body = SourceList), ReadProblems)
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Query(filter): Query<SourceFilter>,
) -> Result<axum::Json<SourceList>, Problem> {
    let rows = app.warehouse.sources(filter.author.as_ref()).await?;
    Ok(axum::Json(SourceList { sources: rows.into_iter().map(SourceView::from).collect() }))
}

/// Show a source, as registered, and how its last sync went.
#[utoipa::path(
    get, path = "/v1/sources/{id}", operation_id = "show_source", tag = "sources",
    params(("id" = Uuid, Path, description = "The source")),
    responses((status = 200, description = "The source", body = SourceView), ReadProblems)
)]
pub async fn show(State(app): State<Arc<App>>, Path(id): Path<SourceId>) -> Result<axum::Json<SourceView>, Problem> {
    let row = app.warehouse.source(id).await?.ok_or_else(|| not_found(id))?;
    Ok(axum::Json(row.into()))
}

/// What becomes of the documents of a source that is removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DocumentsOfSource {
    /// They stay, and are searched.
    Keep,
    /// They are deleted.
    #[default]
    Delete,
}

/// How to remove a source.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Removal {
    /// What becomes of its documents; `delete` if absent.
    #[serde(default)]
    #[param(inline)]
    documents: DocumentsOfSource,
}

/// A source that was removed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Removed {
    /// It.
    id: Uuid,
    /// Documents deleted with it.
    documents_deleted: u64,
}

/// Remove a source, with its documents unless they should stay.
///
/// A removal that was cut off can be sent again.
#[utoipa::path(
    delete, path = "/v1/sources/{id}", operation_id = "remove_source", tag = "sources",
    params(("id" = Uuid, Path, description = "The source"), Removal),
    responses((status = 200, description = "Removed", body = Removed), ReadProblems)
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    Path(id): Path<SourceId>,
    Query(removal): Query<Removal>,
) -> Result<axum::Json<Removed>, Problem> {
    let warehouse = app.warehouse.as_ref();
    warehouse.source(id).await?.ok_or_else(|| not_found(id))?;
    let delete = removal.documents == DocumentsOfSource::Delete;
    // Documents first: if this is cut off, the source is still there to be removed again. And once more after it, for
    // what a sync under way has recorded meanwhile.
    let mut documents_deleted = if delete { retract_all(warehouse, id).await? } else { 0 };
    warehouse.remove_source(id).await?;
    if delete {
        documents_deleted += retract_all(warehouse, id).await?;
    }
    Ok(axum::Json(Removed { id: id.0, documents_deleted }))
}

async fn retract_all(warehouse: &dyn Warehouse, id: SourceId) -> Result<u64, Problem> {
    let known = warehouse.known(id).await?;
    let observed_at = Utc::now();
    let retractions = stream::iter(known)
        .map(|document| async move { warehouse.retract(document.document_id, observed_at).await })
        .buffer_unordered(RETRACTIONS_AT_A_TIME);
    let retracted: Vec<_> = retractions.try_collect().await?;
    Ok(retracted.into_iter().flatten().count() as u64)
}

/// A sync that is due.
#[derive(Debug, Serialize, ToSchema)]
pub struct SyncRequested {
    /// The source.
    id: Uuid,
    /// The sync may delete as many documents as it finds gone.
    deletions_confirmed: bool,
}

/// Sync a source now.
#[utoipa::path(
    post, path = "/v1/sources/{id}/sync", operation_id = "sync_source", tag = "sources",
    params(("id" = Uuid, Path, description = "The source")),
    responses((status = 202, description = "It is due now", body = SyncRequested), ReadProblems)
)]
pub async fn sync(
    State(app): State<Arc<App>>,
    Path(id): Path<SourceId>,
) -> Result<(StatusCode, axum::Json<SyncRequested>), Problem> {
    request_sync(&app, id, false).await
}

/// Confirm deletions: sync a source now, and let that sync delete as many documents as it finds gone.
#[utoipa::path(
    post, path = "/v1/sources/{id}/confirm", operation_id = "confirm_deletions", tag = "sources",
    params(("id" = Uuid, Path, description = "The source")),
    responses((status = 202, description = "It is due now", body = SyncRequested), ReadProblems)
)]
pub async fn confirm(
    State(app): State<Arc<App>>,
    Path(id): Path<SourceId>,
) -> Result<(StatusCode, axum::Json<SyncRequested>), Problem> {
    request_sync(&app, id, true).await
}

async fn request_sync(
    app: &App,
    id: SourceId,
    confirm_deletions: bool,
) -> Result<(StatusCode, axum::Json<SyncRequested>), Problem> {
    if !app.warehouse.request_sync(id, confirm_deletions).await? {
        return Err(not_found(id));
    }
    let requested = SyncRequested { id: id.0, deletions_confirmed: confirm_deletions };
    Ok((StatusCode::ACCEPTED, axum::Json(requested)))
}

fn not_found(id: SourceId) -> Problem {
    Problem::not_found(format!("there is no source {id}"))
}
