//! `GET /v1/models`, as OpenAI clients call it: one model an author.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use twin_schemas::AuthorId;
use utoipa::ToSchema;

use crate::extract::Path;
use crate::problem::Problem;
use crate::problem_responses::ReadProblems;
use crate::routes::chat::MODEL_PREFIX;
use crate::state::App;

/// The twins (OpenAI's API).
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelList {
    /// `list`.
    #[schema(value_type = String)]
    object: &'static str,
    /// One for each author.
    data: Vec<ModelView>,
}

/// A twin, as a model (OpenAI's API).
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelView {
    /// `twin/<author>`.
    #[schema(example = "twin/ada")]
    id: String,
    /// `model`.
    #[schema(value_type = String)]
    object: &'static str,
    /// When the author's first source was registered or document was seen; seconds since 1970.
    created: i64,
    /// `llm-twin`.
    #[schema(value_type = String)]
    owned_by: &'static str,
}

impl ModelView {
    fn new(author: &AuthorId, created: DateTime<Utc>) -> Self {
        let id = format!("{MODEL_PREFIX}{author}");
        Self { id, object: "model", created: created.timestamp(), owned_by: "llm-twin" }
    }
}

/// List the twins (OpenAI's API).
///
/// The authors with a registered source or a document.
#[utoipa::path(
    get, path = "/v1/models", operation_id = "list_models", tag = "openai",
    responses((status = 200, description = "The twins", body = ModelList), ReadProblems)
)]
pub async fn list(State(app): State<Arc<App>>) -> Result<axum::Json<ModelList>, Problem> {
    let authors = app.warehouse.authors().await?;
    let data = authors.iter().map(|(author, created)| ModelView::new(author, *created)).collect();
    Ok(axum::Json(ModelList { object: "list", data }))
}

/// Show one twin (OpenAI's API).
#[utoipa::path(
    get, path = "/v1/models/{model}", operation_id = "show_model", tag = "openai",
    params(("model" = String, Path, description = "`twin/<author>`, its slash as it is or as `%2F`")),
    responses((status = 200, description = "The twin", body = ModelView), ReadProblems)
)]
pub async fn show(State(app): State<Arc<App>>, Path(model): Path<String>) -> Result<axum::Json<ModelView>, Problem> {
    let author = model.strip_prefix(MODEL_PREFIX).and_then(|author| author.parse::<AuthorId>().ok());
    let author = author.ok_or_else(|| Problem::not_found(format!("there is no model {model:?}")))?;
    let author = app.author(Some(author)).await?;
    let created = app.warehouse.authors().await?.get(&author).copied().unwrap_or_default();
    Ok(axum::Json(ModelView::new(&author, created)))
}
