//! The files that a model version is made of: weights, adapter, curves, and the manifest.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use twin_api::{ModelFileList, ModelFileView};
use twin_artifacts::FolderFile;
use twin_schemas::ModelId;

use super::evaluations::PAGE_POLICY;
use super::files::media_type;
use crate::extract::{Path, PathPair};
use crate::problem::Problem;
use crate::problem_responses::ReadProblems;
use crate::state::App;
use crate::views::Shown;

impl Shown for FolderFile {
    type View = ModelFileView;

    fn shown(self) -> ModelFileView {
        let sha256 = digest(&self).to_owned();
        ModelFileView { path: self.path, bytes: self.bytes, sha256 }
    }
}

/// List the files of a model version.
#[utoipa::path(
    get, path = "/v1/model-versions/{id}/files", operation_id = "list_model_files", tag = "learning",
    params(("id" = String, Path, description = "The model version's name", example = "ada-v3")),
    responses((status = 200, description = "The files", body = ModelFileList), ReadProblems)
)]
pub async fn list(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<axum::Json<ModelFileList>, Problem> {
    let learning = app.learning()?;
    let files = learning.registry.model_files(&learning.artifacts, &ModelId(id.clone())).await?;
    Ok(axum::Json(ModelFileList { model: id, files: files.into_iter().map(Shown::shown).collect() }))
}

/// Read a file of a model version.
///
/// The path is one of the list. The content is checked against its hash while it is sent: one that is damaged, or cut short,
/// ends before its `content-length`. The `etag` is the hash.
#[utoipa::path(
    get, path = "/v1/model-versions/{id}/files/{path}", operation_id = "read_model_file", tag = "learning",
    params(
        ("id" = String, Path, description = "The model version's name", example = "ada-v3"),
        ("path" = String, Path, description = "The file's path in the list, slashes as they are")
    ),
    responses(
        (status = 200, description = "The file", content_type = "application/octet-stream", body = String),
        ReadProblems
    )
)]
pub async fn read(State(app): State<Arc<App>>, PathPair(id, path): PathPair) -> Result<Response, Problem> {
    let learning = app.learning()?;
    let files = learning.registry.model_files(&learning.artifacts, &ModelId(id.clone())).await?;
    let Some(file) = files.iter().find(|file| file.path == path) else {
        let known: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        return Err(Problem::not_found(format!("{id} has no file {path:?}, only {}", known.join(", "))));
    };
    let content = learning.artifacts.read(&file.artifact).await?;
    let headers = [
        (CONTENT_TYPE, media_type(&path).to_owned()),
        (CONTENT_LENGTH, content.bytes().to_string()),
        (ETAG, format!("\"{}\"", digest(file))),
        // A picture may be opened in a browser: it is looked at and does nothing.
        (CONTENT_SECURITY_POLICY, PAGE_POLICY.to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    let artifact = file.artifact.clone();
    let blocks = content.blocks().inspect_err(move |error| {
        tracing::error!(%artifact, %error, "a file's body was cut short");
    });
    Ok((headers, Body::from_stream(blocks)).into_response())
}

/// The hash that names the artifact.
fn digest(file: &FolderFile) -> &str {
    file.artifact.rsplit_once(':').map_or(&file.artifact, |(_, digest)| digest)
}
