//! `/v1/documents`: push, list, show, delete.

mod lines;
mod push;
mod record;
mod trail;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use twin_schemas::{AuthorId, DocumentId, MediaType, Revision};
use twin_warehouse::{DocumentFilter, DocumentRow};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::extract::{Checks, Path, Query};
use crate::problem::Problem;
use crate::problem_responses::ReadProblems;
use crate::state::App;

pub use push::{__path_push, push};
use record::{Change, Pushed};
use trail::{StageView, Trail};

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// A document.
#[derive(Debug, Serialize, ToSchema)]
pub struct DocumentSummary {
    /// Its id.
    document_id: Uuid,
    /// Its newest revision.
    revision: u64,
    /// The revision that is searched; null: none is.
    live_revision: Option<u64>,
    /// Its author.
    author: String,
    /// `article`, `post` or `code`.
    #[schema(value_type = String, example = "article")]
    category: &'static str,
    /// The kind of its source; `push` for one that was pushed.
    source_kind: String,
    /// The registered source; null for one that was pushed.
    source_id: Option<Uuid>,
    /// The source's own name for it.
    natural_key: String,
    /// Its title.
    title: Option<String>,
    /// Where a person can read it.
    url: Option<String>,
    /// When the author published it.
    published_at: Option<DateTime<Utc>>,
    /// When its newest revision was first seen.
    observed_at: DateTime<Utc>,
    /// Hash of what the source gave.
    content_hash: String,
    /// Its newest revision is a deletion.
    deleted: bool,
}

impl DocumentSummary {
    fn new(row: DocumentRow, live: Option<Revision>) -> Self {
        let meta = row.meta;
        Self {
            document_id: meta.document_id.0,
            revision: meta.revision.0,
            live_revision: live.map(|revision| revision.0),
            author: meta.author.to_string(),
            category: meta.category.as_str(),
            source_kind: meta.source_kind.to_string(),
            source_id: row.source_id.map(|id| id.0),
            natural_key: meta.natural_key,
            title: meta.title,
            url: meta.url,
            published_at: meta.published_at,
            observed_at: meta.observed_at,
            content_hash: meta.content_hash.to_string(),
            deleted: row.deleted,
        }
    }
}

/// Documents.
#[derive(Debug, Serialize, ToSchema)]
pub struct DocumentList {
    /// Newest change first.
    documents: Vec<DocumentSummary>,
}

/// Which documents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListFilter {
    /// Only this author's.
    #[param(value_type = Option<String>, example = "ada")]
    author: Option<AuthorId>,
    /// Only with this URL.
    url: Option<String>,
    /// At most so many, 1 to 1000; 100 if absent.
    limit: Option<usize>,
}

/// List documents, without their content and without deleted ones.
#[utoipa::path(
    get, path = "/v1/documents", operation_id = "list_documents", tag = "documents", params(ListFilter),
    responses((status = 200, description = "Documents, newest change first", body = DocumentList), ReadProblems)
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Query(filter): Query<ListFilter>,
) -> Result<axum::Json<DocumentList>, Problem> {
    let limit = filter.limit.unwrap_or(LIMIT_DEFAULT);
    let mut checks = Checks::default();
    checks.require((1..=LIMIT_MAX).contains(&limit), "limit", format!("must be 1 to {LIMIT_MAX}"));
    checks.finish()?;
    let filter = DocumentFilter { author: filter.author, url: filter.url, limit, ..DocumentFilter::default() };
    let rows = app.warehouse.documents(&filter).await?;
    let ids: Vec<DocumentId> = rows.iter().map(|row| row.meta.document_id).collect();
    let live = app.warehouse.live_revisions(&ids).await?;
    let summary = |row: DocumentRow| {
        let live = live.get(&row.meta.document_id).copied();
        DocumentSummary::new(row, live)
    };
    Ok(axum::Json(DocumentList { documents: rows.into_iter().map(summary).collect() }))
}

/// A document, and how far it has come.
#[derive(Debug, Serialize, ToSchema)]
pub struct DocumentView {
    /// What is known of it.
    #[serde(flatten)]
    summary: DocumentSummary,
    /// How `content` is written.
    #[schema(value_type = String, example = "markdown")]
    media_type: MediaType,
    /// The content of the newest revision, as the source gave it; empty once deleted.
    content: String,
    /// Some revision of it is searched.
    searchable: bool,
    /// Why its newest revision is not searched; null if it is.
    reason: Option<String>,
    /// How far its newest revision has come.
    stages: Vec<StageView>,
}

/// Show a document: its newest revision, how far that has come, and why it is not searched if it is not.
#[utoipa::path(
    get, path = "/v1/documents/{id}", operation_id = "show_document", tag = "documents",
    params(("id" = Uuid, Path, description = "The document")),
    responses((status = 200, description = "The document", body = DocumentView), ReadProblems)
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<DocumentId>,
) -> Result<axum::Json<DocumentView>, Problem> {
    let row = app.warehouse.document(id).await?.ok_or_else(|| not_found(id))?;
    let progress = app.warehouse.progress(id).await?;
    let indexed = app.warehouse.ledger(&[id]).await?.remove(&id);
    let live = app.warehouse.live_revisions(&[id]).await?.remove(&id);
    let trail = Trail::new(&row, &progress, indexed.as_ref(), live);
    let (media_type, content) = (row.media_type, row.content.clone());
    Ok(axum::Json(DocumentView {
        summary: DocumentSummary::new(row, live),
        media_type,
        content,
        searchable: live.is_some(),
        reason: trail.reason,
        stages: trail.stages,
    }))
}

/// Delete a document: from here on no passage of it is served.
#[utoipa::path(
    delete, path = "/v1/documents/{id}", operation_id = "delete_document", tag = "documents",
    params(("id" = Uuid, Path, description = "The document")),
    responses(
        (status = 202, description = "Deleted; its chunks leave the index in a moment", body = Pushed),
        (status = 200, description = "It was deleted before", body = Pushed),
        ReadProblems
    )
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    Path(id): Path<DocumentId>,
) -> Result<(StatusCode, axum::Json<Pushed>), Problem> {
    if let Some(revision) = app.warehouse.retract(id, Utc::now()).await? {
        return Ok((StatusCode::ACCEPTED, axum::Json(Pushed::new(id, revision, Change::Deleted))));
    }
    let row = app.warehouse.document(id).await?.ok_or_else(|| not_found(id))?;
    Ok((StatusCode::OK, axum::Json(Pushed::new(id, row.meta.revision, Change::Unchanged))))
}

fn not_found(id: DocumentId) -> Problem {
    Problem::not_found(format!("there is no document {id}"))
}
