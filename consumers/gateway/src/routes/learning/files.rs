//! The files that a dataset version is made of.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::Value;
use twin_artifacts::Artifacts;
use twin_schemas::DatasetFile;

use super::{find_dataset, json_artifact};
use crate::extract::PathPair;
use crate::problem::Problem;
use crate::problem_responses::ReadProblems;
use crate::state::App;

/// Read a file of a dataset version.
///
/// The name is one of the manifest's `files`. Each part of it is checked against its hash before it is sent; a file that
/// is cut short ends before its `content-length`.
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
    let mut files = files_of(&manifest)?;
    let Some(at) = files.iter().position(|file| file.name == name) else {
        let known: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let detail = format!("dataset {} has no file {name:?}, only {}", row.dataset.short(), known.join(", "));
        return Err(Problem::not_found(detail));
    };
    let DatasetFile { parts, bytes, .. } = files.swap_remove(at);
    let headers = [
        (CONTENT_TYPE, media_type(&name).to_owned()),
        (CONTENT_LENGTH, bytes.to_string()),
        // A version never changes.
        (ETAG, format!("\"{}-{at}\"", row.dataset)),
    ];
    let body = concatenated(learning.artifacts.clone(), parts.into_iter()).await?;
    Ok((headers, body).into_response())
}

/// The artifacts one after the other, one of them in memory at a time. The first is read here already, so that a store
/// that has lost it is a problem and not a cut body.
async fn concatenated(
    artifacts: Artifacts,
    mut names: impl Iterator<Item = String> + Send + 'static,
) -> Result<Body, Problem> {
    let Some(first) = names.next() else { return Ok(Body::empty()) };
    let first = artifacts.get(&first).await?;
    let rest = stream::iter(names).then(move |name| {
        let artifacts = artifacts.clone();
        async move {
            let content = artifacts.get(&name).await;
            content.inspect_err(|error| tracing::error!(artifact = %name, %error, "a file's body was cut short"))
        }
    });
    Ok(Body::from_stream(stream::iter([Ok(first)]).chain(rest)))
}

fn files_of(manifest: &Value) -> Result<Vec<DatasetFile>, Problem> {
    Vec::deserialize(&manifest["files"]).map_err(|error| {
        tracing::error!(%error, "a manifest has no list of files");
        Problem::internal("the manifest has no list of files; the gateway's log has more")
    })
}

pub(super) fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("jsonl" | "ndjson") => "application/x-ndjson",
        Some("json") => "application/json",
        Some("csv") => "text/csv; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("md" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
