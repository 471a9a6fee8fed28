//! `POST /v1/documents`: one JSON object, or many lines.

use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use twin_api::{Change, PushAnswer, PushRequest, Pushed};

use super::lines::upload;
use super::record::record;
use crate::extract::{Json, MediaKind, media_type, unsupported};
use crate::problem::Problem;
use crate::problem_responses::BodyProblems;
use crate::state::App;

/// Push documents.
///
/// As `application/json` one document; as `application/x-ndjson` one a line, of which each is accepted or refused by
/// itself. A document that is pushed again under the same `natural_key` is revised if anything of it changed.
#[utoipa::path(
    post, path = "/v1/documents", operation_id = "push_documents", tag = "documents",
    request_body(content((PushRequest = "application/json"), (PushRequest = "application/x-ndjson"))),
    responses(
        (status = 201, description = "One document: created", body = Pushed),
        (status = 200, description = "One: revised or unchanged; many: what became of each line", body = PushAnswer),
        BodyProblems
    )
)]
pub async fn push(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    match media_type(request.headers()) {
        Some(MediaKind::Json) => {
            let Json(document) = Json::<PushRequest>::from_request(request, &()).await?;
            let pushed = record(&app, document).await?;
            let status = if pushed.change == Change::Created { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, axum::Json(PushAnswer::One(pushed))).into_response())
        }
        Some(MediaKind::Lines) => {
            let upload = upload(&app, request.into_body().into_data_stream()).await?;
            Ok(axum::Json(PushAnswer::Many(upload)).into_response())
        }
        None => Err(unsupported("application/json or application/x-ndjson")),
    }
}
