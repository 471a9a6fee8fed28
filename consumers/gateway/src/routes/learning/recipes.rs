//! The recipe of an author's later jobs.

use std::sync::Arc;

use axum::extract::State;
use chrono::Utc;
use twin_api::{NewRecipe, RecipeView};
use twin_schemas::AuthorId;

use super::{checked_by, checked_recipe};
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::problem_responses::{ReadProblems, StepProblems};
use crate::state::App;

/// Show the recipe of an author's later jobs.
#[utoipa::path(
    get, path = "/v1/authors/{author}/recipe", operation_id = "show_recipe", tag = "learning",
    params(("author" = String, Path, description = "The author")),
    responses((status = 200, description = "The author's own recipe", body = RecipeView), ReadProblems)
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Path(author): Path<AuthorId>,
) -> Result<axum::Json<RecipeView>, Problem> {
    let found = app.learning()?.registry.recipe(&author).await?;
    let found =
        found.ok_or_else(|| Problem::not_found(format!("no recipe was set for {author}: the configured one holds")))?;
    Ok(axum::Json(RecipeView { recipe: found.recipe, origin: found.origin, set_at: found.set_at }))
}

/// Set the recipe of an author's later jobs.
#[utoipa::path(
    put, path = "/v1/authors/{author}/recipe", operation_id = "set_recipe", tag = "learning",
    params(("author" = String, Path, description = "The author")), request_body = NewRecipe,
    responses((status = 200, description = "Set, in its canonical form", body = RecipeView), StepProblems)
)]
pub async fn set(
    State(app): State<Arc<App>>,
    Path(author): Path<AuthorId>,
    Json(request): Json<NewRecipe>,
) -> Result<axum::Json<RecipeView>, Problem> {
    let learning = app.learning()?;
    let by = checked_by(request.by)?;
    let author = app.author(Some(author)).await?;
    let recipe = checked_recipe(&request.recipe)?.canonical();
    let (origin, set_at) = (format!("set by {by}"), Utc::now());
    learning.registry.set_recipe(&author, &recipe, &origin, set_at).await?;
    Ok(axum::Json(RecipeView { recipe, origin, set_at }))
}
