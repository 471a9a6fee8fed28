//! What the gateway's routes ask of the learning loop's stages.

use async_trait::async_trait;
use twin_datasets::{diff, read_manifest};
use twin_gateway::{LearningDesk, TrainRequest};
use twin_registry::{JobRow, Registry};
use twin_schemas::AuthorId;
use twin_trainer::engine::Recipe;
use twin_trainer::{JobQueue, Sweep, from_canonical};

use super::Files;

/// The desk of a node.
pub struct Desk {
    /// Datasets and jobs.
    pub registry: Registry,
    /// Manifests.
    pub files: Files,
    /// Queues jobs; or why that can not be on this machine.
    pub queue: Result<JobQueue, String>,
}

impl Desk {
    fn queue(&self) -> Result<&JobQueue, String> {
        self.queue.as_ref().map_err(Clone::clone)
    }

    async fn manifest(&self, dataset: &str) -> Result<twin_datasets::Manifest, String> {
        let row = self.registry.dataset(dataset).await.map_err(|error| error.to_string())?;
        let row = row.ok_or_else(|| format!("there is no dataset {dataset}"))?;
        read_manifest(&self.files.0, &row.manifest).await.map_err(|error| error.to_string())
    }
}

#[async_trait]
impl LearningDesk for Desk {
    async fn diff(&self, a: &str, b: &str) -> Result<serde_json::Value, String> {
        let (a, b) = (self.manifest(a).await?, self.manifest(b).await?);
        serde_json::to_value(diff(&a, &b)).map_err(|error| error.to_string())
    }

    async fn train(&self, request: TrainRequest) -> Result<JobRow, String> {
        let queue = self.queue()?;
        let recipe = match &request.recipe {
            Some(text) => from_canonical(text).map_err(|error| error.to_string())?,
            None => queue.recipe_of(&request.author).await.map_err(|error| error.to_string())?,
        };
        queue.train(&request.author, &request.dataset, &recipe).await.map_err(|error| error.to_string())
    }

    async fn sweep(&self, author: &AuthorId, sweep: &str) -> Result<Vec<JobRow>, String> {
        let sweep = Sweep::from_toml(sweep).map_err(|error| error.to_string())?;
        let dataset = self.registry.newest_dataset(author).await.map_err(|error| error.to_string())?;
        let dataset = dataset.ok_or_else(|| format!("{author} has no dataset yet: twin datasets freeze"))?;
        self.queue()?.sweep(author, &dataset.dataset, &sweep).await.map_err(|error| error.to_string())
    }

    fn check_recipe(&self, recipe: &str) -> Result<String, String> {
        // What the API shows of a recipe is its canonical text, which is JSON: it can be given back as it is.
        if recipe.trim_start().starts_with('{') {
            return Ok(from_canonical(recipe).map_err(|error| error.to_string())?.canonical());
        }
        Ok(Recipe::from_toml(recipe).map_err(|error| error.to_string())?.canonical())
    }
}
