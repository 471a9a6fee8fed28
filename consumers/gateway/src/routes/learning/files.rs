//! The files that a dataset version is made of.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::Deserialize;
use serde_json::Value;

use super::{find_dataset, json_artifact};
use crate::extract::PathPair;
use crate::problem::Problem;
use crate::problem_responses::ReadProblems;
use crate::state::App;

/// A file in a manifest.
#[derive(Debug, Deserialize)]
struct ManifestFile {
    name: String,
    /// The artifacts that it is the concatenation of.
    parts: Vec<String>,
}

/// Read a file of a dataset version.
///
/// The name is one of the manifest's `files`. Each of its parts is checked against its hash before it is sent.
#[utoipa::path(
    get, path = "/v1/datasets/{id}/files/{path}", operation_id = "read_dataset_file", tag = "learning",
    params(
        ("id" = String, Path, description = "The version: its id, or the beginning of it"),
        ("path" = String, Path, description = "The file's name in the manifest, slashes as they are")
    ),
    responses(
        (status = 200, description = "The file", content_type = "application/octet-stream", body = String),
        ReadProblems
    )
)]
pub async fn read(State(app): State<Arc<App>>, PathPair(id, name): PathPair) -> Result<Response, Problem> {
    let learning = app.learning()?;
    let row = find_dataset(&learning.registry, &id).await?;
    let manifest = json_artifact(&learning.artifacts, &row.manifest).await?;
    let files = files_of(&manifest)?;
    let Some(file) = files.iter().find(|file| file.name == name) else {
        let known: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let detail = format!("dataset {} has no file {name:?}, only {}", row.dataset.short(), known.join(", "));
        return Err(Problem::not_found(detail));
    };
    let Some(first) = file.parts.first() else { return Err(Problem::not_found(format!("{name} is empty"))) };
    // Read before the headers are sent: what is missing or damaged is an error and no cut-off file, for all but large files.
    let first = learning.artifacts.get(first).await?;
    let (artifacts, rest) = (learning.artifacts.clone(), file.parts[1..].to_vec());
    let rest = futures::stream::iter(rest).then(move |part| {
        let artifacts = artifacts.clone();
        async move { artifacts.get(&part).await }
    });
    let content = futures::stream::once(async { Ok(first) }).chain(rest);
    let headers = [(CONTENT_TYPE, media_type(&name).to_owned()), (ETAG, format!("\"{}\"", file.parts.join("+")))];
    Ok((headers, Body::from_stream(content)).into_response())
}

fn files_of(manifest: &Value) -> Result<Vec<ManifestFile>, Problem> {
    Vec::deserialize(&manifest["files"]).map_err(|error| {
        tracing::error!(%error, "a manifest has no list of files");
        Problem::internal("the manifest has no list of files")
    })
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("jsonl" | "ndjson") => "application/x-ndjson",
        Some("json") => "application/json",
        Some("md" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
