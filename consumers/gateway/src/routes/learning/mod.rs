//! The learning loop: dataset versions, training jobs, model versions, decisions and deployments.
//!
//! Rows are the registry's, files are artifacts that rows name.

pub mod datasets;
pub mod decisions;
pub mod evaluations;
pub mod files;
pub mod freezes;
pub mod jobs;
pub mod model_files;
pub mod model_versions;
pub mod model_views;
pub mod outlook;
pub mod recipes;
pub mod views;

use serde_json::Value;
use twin_artifacts::Artifacts;
use twin_registry::{DatasetRow, JobRow, ModelRow, Registry};
use twin_schemas::ModelId;
use twin_training::Recipe;

use crate::extract::Checks;
use crate::list::List;
use crate::problem::Problem;

/// The longest name of who decides, characters.
const BY_MAX_CHARS: usize = 100;
/// The longest reason, characters.
const WHY_MAX_CHARS: usize = 2_000;
/// Who asks, where the request does not say.
const NOBODY: &str = "unnamed";

/// A list of the learning loop, newest first.
const fn newest_first(name: &'static str) -> List {
    List { name, cursor: "before", default: 50, max: 1_000 }
}

/// Who asks: a name that can be read in a table.
fn checked_by(by: Option<String>) -> Result<String, Problem> {
    let by = by.unwrap_or_else(|| NOBODY.to_owned());
    let mut checks = Checks::default();
    check_by(&mut checks, &by);
    checks.finish()?;
    Ok(by)
}

fn check_by(checks: &mut Checks, by: &str) {
    let in_range = !by.trim().is_empty() && by.chars().count() <= BY_MAX_CHARS;
    checks.require(in_range, "by", format!("must be 1 to {BY_MAX_CHARS} characters"));
    checks.require(!by.chars().any(char::is_control), "by", "must not have control characters");
}

/// The version that an id, or the beginning of one, names.
async fn find_dataset(registry: &Registry, id: &str) -> Result<DatasetRow, Problem> {
    let found = registry.dataset(id).await?;
    found.ok_or_else(|| {
        Problem::not_found(format!("there is no dataset {id:?}, or several begin so; GET /v1/datasets lists them"))
    })
}

/// The job that an id, or the beginning of one, names.
async fn find_job(registry: &Registry, id: &str) -> Result<JobRow, Problem> {
    let found = registry.job(id).await?;
    found.ok_or_else(|| {
        Problem::not_found(format!("there is no job {id:?}, or several begin so; GET /v1/jobs lists them"))
    })
}

/// A recipe as people write it, or repeat what they were shown.
fn checked_recipe(text: &str) -> Result<Recipe, Problem> {
    Recipe::parse(text).map_err(|error| Problem::field("recipe", error.to_string()))
}

async fn find_model(registry: &Registry, id: String) -> Result<ModelRow, Problem> {
    let id = ModelId(id);
    let found = registry.model(&id).await?;
    found
        .ok_or_else(|| Problem::not_found(format!("there is no model version {id}; GET /v1/model-versions lists them")))
}

/// An artifact that holds JSON.
async fn json_artifact(artifacts: &Artifacts, name: &str) -> Result<Value, Problem> {
    let content = artifacts.get(name).await?;
    serde_json::from_slice(&content).map_err(|error| {
        tracing::error!(artifact = name, %error, "an artifact is no JSON");
        Problem::internal(format!("the artifact {name} can not be read; the gateway's log has more"))
    })
}
