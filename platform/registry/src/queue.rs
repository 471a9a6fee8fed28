//! Queues training jobs: for a person, for a sweep, for a new dataset version.

use std::sync::Arc;

use chrono::Utc;
use tracing::info;
use twin_schemas::{AuthorId, DatasetId, JobId};
use twin_training::{Recipe, Sweep};

use crate::model::{JobRow, NewJob};
use crate::retraining::RETRAINING;
use crate::{Error, Ingredients, Registry};

/// The version of this program, as runs record it.
pub const CODE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Queues jobs for one base model; clones share it.
#[derive(Clone)]
pub struct JobQueue {
    registry: Registry,
    /// The base model's fingerprint.
    base: Arc<str>,
    ingredients: Arc<Ingredients>,
    default_recipe: Arc<Recipe>,
}

impl JobQueue {
    /// A queue of jobs that train the base model of that fingerprint. Authors without a recipe of their own have the
    /// default one.
    pub fn new(registry: Registry, base: &str, default_recipe: Recipe) -> Self {
        let ingredients = Arc::new(Ingredients { bases: vec![base.to_owned()], prompts: None });
        Self { registry, base: base.into(), ingredients, default_recipe: Arc::new(default_recipe) }
    }

    /// The same, with all that is known of what its jobs are made of.
    pub fn with_ingredients(self, ingredients: Ingredients) -> Self {
        Self { ingredients: Arc::new(ingredients), ..self }
    }

    /// What its jobs are made of.
    pub fn ingredients(&self) -> &Ingredients {
        &self.ingredients
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Whether a dataset version was asked for to be trained on, whoever starts training otherwise.
    pub async fn is_for_retraining(&self, dataset: &DatasetId) -> Result<bool, Error> {
        let version = self.registry.dataset(&dataset.0).await?;
        Ok(version.is_some_and(|version| version.reason == RETRAINING))
    }

    /// The recipe of an author's jobs: one that was set, else the default one.
    pub async fn recipe_of(&self, author: &AuthorId) -> Result<Recipe, Error> {
        let Some(stored) = self.registry.recipe(author).await? else { return Ok((*self.default_recipe).clone()) };
        Recipe::from_canonical(&stored.recipe)
            .map_err(|error| Error::Stored { what: "recipe", problem: error.to_string() })
    }

    /// Queues the training of a dataset by a recipe. The same again queues nothing and returns the job as it is, also where
    /// other options would have it train folds now: a recipe with another `seed` is another job.
    pub async fn train(&self, author: &AuthorId, dataset: &DatasetId, recipe: &Recipe) -> Result<JobRow, Error> {
        self.queue(author, dataset, recipe, None).await
    }

    /// Queues every trial of a sweep over a dataset.
    pub async fn sweep(&self, author: &AuthorId, dataset: &DatasetId, sweep: &Sweep) -> Result<Vec<JobRow>, Error> {
        let name = sweep.name(dataset).map_err(refused)?;
        let mut jobs = Vec::new();
        for recipe in sweep.recipes().map_err(refused)? {
            jobs.push(self.queue(author, dataset, &recipe, Some(&name)).await?);
        }
        Ok(jobs)
    }

    async fn queue(
        &self,
        author: &AuthorId,
        dataset: &DatasetId,
        recipe: &Recipe,
        sweep: Option<&str>,
    ) -> Result<JobRow, Error> {
        recipe.validate().map_err(refused)?;
        let recipe = recipe.canonical();
        // A trial is another job than the same work outside of its sweep: it makes no model.
        let named = match sweep {
            Some(sweep) => format!("{sweep}\n{recipe}"),
            None => recipe.clone(),
        };
        let job = JobId::of(dataset, &self.base, &named);
        let new = NewJob {
            job: job.clone(),
            author: author.clone(),
            dataset: dataset.clone(),
            base: self.base.to_string(),
            recipe,
            sweep: sweep.map(str::to_owned),
            code_version: CODE_VERSION.to_owned(),
        };
        if self.registry.queue_job(new, Utc::now()).await? {
            info!(%author, job = job.short(), dataset = dataset.short(), "training job queued");
        }
        self.registry.job(&job.0).await?.ok_or_else(|| Error::missing("job", &job))
    }
}

fn refused(error: twin_training::Error) -> Error {
    Error::Refused(error.to_string())
}
