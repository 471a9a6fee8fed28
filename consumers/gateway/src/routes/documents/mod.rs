//! `/v1/documents`: push, list, show, delete.

mod lines;
mod push;
mod record;
mod trail;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::Utc;
use twin_api::{Change, DocumentList, DocumentSummary, DocumentView, ListFilter, Pushed};
use twin_schemas::{DocumentId, Revision};
use twin_warehouse::{DocumentFilter, DocumentRow};

use crate::extract::{Path, Query};
use crate::list::{List, Part};
use crate::problem::Problem;
use crate::problem_responses::ReadProblems;
use crate::state::App;

pub use push::{__path_push, push};
use record::pushed;
use trail::Trail;

const LIST: List = List { name: "documents", cursor: "before", default: 100, max: 1_000 };

fn summary(row: DocumentRow, live: Option<Revision>) -> DocumentSummary {
    let meta = row.meta;
    DocumentSummary {
        document_id: meta.document_id.0,
        revision: meta.revision.0,
        live_revision: live.map(|revision| revision.0),
        author: meta.author.to_string(),
        category: meta.category,
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

/// List documents, without their content and without deleted ones.
#[utoipa::path(
    get, path = "/v1/documents", operation_id = "list_documents", tag = "documents", params(ListFilter),
    responses((status = 200, description = "Documents, newest change first", body = DocumentList), ReadProblems)
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Query(filter): Query<ListFilter>,
) -> Result<axum::Json<DocumentList>, Problem> {
    let Part { limit, from } = LIST.part(filter.limit, filter.before.as_deref())?;
    let filter = DocumentFilter { author: filter.author, url: filter.url };
    let page = app.warehouse.documents(&filter, from.as_ref(), limit).await?;
    let ids: Vec<DocumentId> = page.items.iter().map(|row| row.meta.document_id).collect();
    let live = app.warehouse.live_revisions_of_all(&ids).await?;
    let shown = |row: DocumentRow| {
        let live = live.get(&row.meta.document_id).copied();
        summary(row, live)
    };
    let documents = page.items.into_iter().map(shown).collect();
    Ok(axum::Json(DocumentList { documents, next: LIST.next(page.next) }))
}

/// Show a document: its newest revision, how far that has come, and why it is not searched if it is not.
#[utoipa::path(
    get, path = "/v1/documents/{id}", operation_id = "show_document", tag = "documents",
    params(("id" = uuid::Uuid, Path, description = "The document")),
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
        summary: summary(row, live),
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
    params(("id" = uuid::Uuid, Path, description = "The document")),
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
        return Ok((StatusCode::ACCEPTED, axum::Json(pushed(id, revision, Change::Deleted))));
    }
    let row = app.warehouse.document(id).await?.ok_or_else(|| not_found(id))?;
    Ok((StatusCode::OK, axum::Json(pushed(id, row.meta.revision, Change::Unchanged))))
}

fn not_found(id: DocumentId) -> Problem {
    Problem::not_found(format!("there is no document {id}; GET /v1/documents lists those that there are"))
}
