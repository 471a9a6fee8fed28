//! `/v1/sources/{id}/files`: files that are uploaded to a source, to be read by its next sync.

use std::io::Error as IoError;
use std::path::Path as FilePath;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use chrono::Utc;
use futures::StreamExt;
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use twin_api::{FileName, RemovedFile, UploadedFileFilter, UploadedFileList, UploadedFileView};
use twin_schemas::SourceId;
use twin_warehouse::{FileStored, SourceRow, UploadedFile};

use super::sources::not_found;
use crate::extract::{Path, PathPair, Query};
use crate::list::{List, Part};
use crate::problem::Problem;
use crate::problem_responses::{ReadProblems, StepProblems};
use crate::state::{App, Uploads};
use crate::views::Shown;

const LIST: List = List { name: "source_files", cursor: "after", default: 1_000, max: 1_000 };

impl Shown for UploadedFile {
    type View = UploadedFileView;

    fn shown(self) -> UploadedFileView {
        UploadedFileView { name: self.name, bytes: self.bytes, uploaded_at: self.uploaded_at }
    }
}

/// Upload a file to a source.
///
/// The body is the file as it is. One of the same name is replaced, and what it had and the new one has not is deleted by
/// the next sync, which is due at once. Sources of kind `files` take uploads: Markdown, HTML and text, or a zip archive of
/// such files.
#[utoipa::path(
    post, path = "/v1/sources/{id}/files", operation_id = "upload_source_file", tag = "sources",
    params(("id" = uuid::Uuid, Path, description = "The source"), FileName),
    request_body(content = String, content_type = "application/octet-stream", description = "The file"),
    responses(
        (status = 201, description = "Stored", body = UploadedFileView),
        (status = 200, description = "Stored in the place of the one before", body = UploadedFileView),
        StepProblems
    )
)]
pub async fn upload(
    State(app): State<Arc<App>>,
    Path(id): Path<SourceId>,
    Query(FileName { name }): Query<FileName>,
    request: Request,
) -> Result<(StatusCode, axum::Json<UploadedFileView>), Problem> {
    let source = source(&app, id).await?;
    app.sources.check_file(&source.source.kind, &name).map_err(|problem| Problem::field("name", problem))?;
    let uploads = app.uploads()?;
    let received = receive(uploads, request.into_body(), app.options.max_upload_bytes).await?;
    let stored = uploads.artifacts.put_file(received.path()).await?;
    let file =
        UploadedFile { source_id: id, name, artifact: stored.artifact, bytes: stored.bytes, uploaded_at: Utc::now() };
    let most = usize::try_from(app.options.max_uploads_per_source).unwrap_or(usize::MAX);
    let status = match app.warehouse.put_file(file.clone(), most).await? {
        FileStored::New => StatusCode::CREATED,
        FileStored::Replaced => StatusCode::OK,
        FileStored::Full => {
            let problem = format!(
                "the source has {most} files already (gateway.max_uploads_per_source); remove or replace one, or upload a \
                 zip archive of many"
            );
            return Err(Problem::field("name", problem));
        }
        FileStored::NotRegistered => return Err(not_registered(&app, id).await),
    };
    app.warehouse.request_sync(id, false).await?;
    Ok((status, axum::Json(file.shown())))
}

/// List the files that were uploaded to a source.
#[utoipa::path(
    get, path = "/v1/sources/{id}/files", operation_id = "list_source_files", tag = "sources",
    params(("id" = uuid::Uuid, Path, description = "The source"), UploadedFileFilter),
    responses((status = 200, description = "The files, by name", body = UploadedFileList), ReadProblems)
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Path(id): Path<SourceId>,
    Query(filter): Query<UploadedFileFilter>,
) -> Result<axum::Json<UploadedFileList>, Problem> {
    let Part { limit, from } = LIST.part::<String>(filter.limit, filter.after.as_deref())?;
    source(&app, id).await?;
    let page = app.warehouse.files(id, from.as_deref(), limit).await?;
    let files = page.items.into_iter().map(Shown::shown).collect();
    Ok(axum::Json(UploadedFileList { files, next: LIST.next(page.next) }))
}

/// Remove an uploaded file. Its documents are deleted by the next sync, which is due at once.
#[utoipa::path(
    delete, path = "/v1/sources/{id}/files/{name}", operation_id = "remove_source_file", tag = "sources",
    params(
        ("id" = uuid::Uuid, Path, description = "The source"),
        ("name" = String, Path, description = "The file's name")
    ),
    responses((status = 200, description = "Removed", body = RemovedFile), ReadProblems)
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    PathPair(id, name): PathPair,
) -> Result<axum::Json<RemovedFile>, Problem> {
    let id: SourceId = id.parse().map_err(|error| Problem::field("id", format!("{error}")))?;
    source(&app, id).await?;
    if !app.warehouse.remove_file(id, &name).await? {
        return Err(Problem::not_found(format!("source {id} has no file {name:?}")));
    }
    app.warehouse.request_sync(id, false).await?;
    Ok(axum::Json(RemovedFile { name }))
}

async fn source(app: &App, id: SourceId) -> Result<SourceRow, Problem> {
    app.warehouse.source(id).await?.ok_or_else(|| not_found(id))
}

/// Why a source takes no upload.
async fn not_registered(app: &App, id: SourceId) -> Problem {
    let why = format!("source {id} is being removed; register it again to upload to it");
    source(app, id).await.map_or_else(|problem| problem, |_| Problem::refused(why))
}

/// The body in a file, as it comes; the file is gone when it is dropped.
async fn receive(uploads: &Uploads, body: Body, max_bytes: u64) -> Result<NamedTempFile, Problem> {
    let folder = uploads.folder.clone();
    let made = tokio::task::spawn_blocking(move || -> Result<_, IoError> {
        std::fs::create_dir_all(&folder)?;
        let file = NamedTempFile::new_in(&folder)?;
        let writer = file.reopen()?;
        Ok((file, writer))
    });
    let made = made.await.map_err(IoError::other).and_then(|made| made);
    let (file, writer) = made.map_err(|error| not_taken(&uploads.folder, error))?;
    let mut writer = tokio::fs::File::from_std(writer);
    let mut body = body.into_data_stream();
    let mut bytes = 0;
    while let Some(data) = body.next().await {
        let data = data.map_err(|error| Problem::malformed(format!("the upload was cut off: {error}")))?;
        bytes += data.len() as u64;
        if bytes > max_bytes {
            let detail = format!("the file is larger than {max_bytes} bytes (gateway.max_upload_bytes)");
            return Err(Problem::too_large(detail));
        }
        writer.write_all(&data).await.map_err(|error| not_taken(&uploads.folder, error))?;
    }
    writer.flush().await.map_err(|error| not_taken(&uploads.folder, error))?;
    if bytes == 0 {
        return Err(Problem::field("body", "the file is empty"));
    }
    Ok(file)
}

fn not_taken(folder: &FilePath, source: IoError) -> Problem {
    let error = twin_artifacts::Error::File { path: folder.display().to_string(), source };
    tracing::error!(%error, "an upload could not be stored");
    Problem::unavailable(match error.is_of_the_disk() {
        true => "the upload could not be stored: the disk is full or failing",
        false => "the upload could not be stored",
    })
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_full_disk_is_said_to_be_full_and_to_pass() {
        let told = |kind: ErrorKind| not_taken(FilePath::new("/data/uploads"), kind.into()).body;
        assert_eq!((told(ErrorKind::StorageFull).status, told(ErrorKind::NotADirectory).status), (503, 503));
        assert!(told(ErrorKind::StorageFull).detail.contains("full"));
        assert!(!told(ErrorKind::NotADirectory).detail.contains("full"));
    }
}
