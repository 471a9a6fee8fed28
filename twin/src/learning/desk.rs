//! What the gateway's routes ask of the learning loop's stages.

use async_trait::async_trait;
use twin_datasets::{diff, read_manifest};
use twin_gateway::{LearningDesk, PortError, TrainRequest};
use twin_lora::Recipe;
use twin_registry::{JobRow, Registry};
use twin_schemas::AuthorId;
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
    fn queue(&self) -> Result<&JobQueue, PortError> {
        self.queue.as_ref().map_err(|why| PortError::Refused(why.clone()))
    }

    async fn manifest(&self, dataset: &str) -> Result<twin_datasets::Manifest, PortError> {
        let row = self.registry.dataset(dataset).await?;
        let row = row.ok_or_else(|| PortError::Missing(format!("there is no dataset {dataset}")))?;
        read_manifest(&self.files.0, &row.manifest).await.map_err(of_datasets)
    }
}

#[async_trait]
impl LearningDesk for Desk {
    async fn diff(&self, a: &str, b: &str) -> Result<serde_json::Value, PortError> {
        let (a, b) = (self.manifest(a).await?, self.manifest(b).await?);
        serde_json::to_value(diff(&a, &b)).map_err(|error| of_datasets(error.into()))
    }

    async fn train(&self, request: TrainRequest) -> Result<JobRow, PortError> {
        let queue = self.queue()?;
        let recipe = match &request.recipe {
            Some(text) => from_canonical(text).map_err(of_trainer)?,
            None => queue.recipe_of(&request.author).await.map_err(of_trainer)?,
        };
        queue.train(&request.author, &request.dataset, &recipe).await.map_err(of_trainer)
    }

    async fn sweep(&self, author: &AuthorId, sweep: &str) -> Result<Vec<JobRow>, PortError> {
        let sweep = Sweep::from_toml(sweep).map_err(|error| PortError::Invalid(error.to_string()))?;
        let dataset = self.registry.newest_dataset(author).await?;
        let missing = || PortError::Refused(format!("{author} has no dataset yet: twin datasets freeze"));
        let dataset = dataset.ok_or_else(missing)?.dataset;
        // A recipe that can not work is one of the trials that the text asks for.
        self.queue()?.sweep(author, &dataset, &sweep).await.map_err(|error| match error {
            twin_trainer::Error::Engine(error) => PortError::Invalid(error.to_string()),
            error => of_trainer(error),
        })
    }

    fn check_recipe(&self, recipe: &str) -> Result<String, String> {
        // What the API shows of a recipe is its canonical text, which is JSON: it can be given back as it is.
        if recipe.trim_start().starts_with('{') {
            return Ok(from_canonical(recipe).map_err(|error| error.to_string())?.canonical());
        }
        Ok(Recipe::from_toml(recipe).map_err(|error| error.to_string())?.canonical())
    }
}

fn of_trainer(error: twin_trainer::Error) -> PortError {
    match error {
        twin_trainer::Error::Registry(error) => error.into(),
        twin_trainer::Error::Artifact(error) => error.into(),
        error if error.is_transient() => PortError::transient("trainer", error),
        error => PortError::Refused(error.to_string()),
    }
}

fn of_datasets(error: twin_datasets::Error) -> PortError {
    match error {
        twin_datasets::Error::Artifacts(error) => error.into(),
        twin_datasets::Error::Registry(error) => error.into(),
        error => PortError::Backend { store: "datasets", cause: twin_backend::Error::permanent(error) },
    }
}
