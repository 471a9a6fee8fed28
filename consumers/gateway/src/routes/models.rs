//! `GET /v1/models`, as OpenAI clients call it: one model an author.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use twin_schemas::AuthorId;
use twin_warehouse::AuthorRow;
use utoipa::{IntoParams, ToSchema};

use crate::extract::{Path, Query};
use crate::list::{List, Part};
use crate::problem::Problem;
use crate::problem_responses::ReadProblems;
use crate::routes::chat::MODEL_PREFIX;
use crate::state::App;

const LIST: List = List { name: "models", cursor: "after", default: 1_000, max: 1_000 };

/// Which of the twins.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ModelFilter {
    /// At most so many, 1 to 1000; 1000 if absent.
    limit: Option<u32>,
    /// Those that come after an earlier part of the list: its `next`.
    after: Option<String>,
}

/// The twins (OpenAI's API).
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelList {
    /// `list`.
    #[schema(value_type = String)]
    object: &'static str,
    /// One for each author, by name.
    data: Vec<ModelView>,
    /// The `after` of the next part of the list; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
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
    fn new(row: &AuthorRow) -> Self {
        let id = format!("{MODEL_PREFIX}{}", row.author);
        Self { id, object: "model", created: row.first_seen_at.timestamp(), owned_by: "llm-twin" }
    }
}

/// List the twins (OpenAI's API).
///
/// The authors with a registered source or a document.
#[utoipa::path(
    get, path = "/v1/models", operation_id = "list_models", tag = "openai", params(ModelFilter),
    responses((status = 200, description = "The twins", body = ModelList), ReadProblems)
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Query(filter): Query<ModelFilter>,
) -> Result<axum::Json<ModelList>, Problem> {
    let Part { limit, from } = LIST.part(filter.limit, filter.after.as_deref())?;
    let page = app.warehouse.authors(from.as_ref(), limit).await?;
    let data = page.items.iter().map(ModelView::new).collect();
    Ok(axum::Json(ModelList { object: "list", data, next: LIST.next(page.next) }))
}

/// Show one twin (OpenAI's API).
#[utoipa::path(
    get, path = "/v1/models/{model}", operation_id = "show_model", tag = "openai",
    params(("model" = String, Path, description = "`twin/<author>`, its slash as it is or as `%2F`")),
    responses((status = 200, description = "The twin", body = ModelView), ReadProblems)
)]
pub async fn show(State(app): State<Arc<App>>, Path(model): Path<String>) -> Result<axum::Json<ModelView>, Problem> {
    let author = model.strip_prefix(MODEL_PREFIX).and_then(|author| author.parse::<AuthorId>().ok());
    let author = author.ok_or_else(|| no_model(&model))?;
    let row = app.warehouse.author(&author).await?.ok_or_else(|| no_model(&model))?;
    Ok(axum::Json(ModelView::new(&row)))
}

fn no_model(model: &str) -> Problem {
    Problem::not_found(format!("there is no model {model:?}; GET /v1/models lists those that there are"))
}
