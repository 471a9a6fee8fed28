//! Queues jobs: by a new dataset version, by a person, by a sweep.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use tracing::info;
use twin_registry::{JobRow, NewJob, Registry};
use twin_schemas::{AuthorId, DatasetId, DatasetReady, JobId};
use twin_stream::{Handler, Message, Outcome};

use crate::Error;
use crate::base::Base;
use crate::options::Options;
use twin_lora::Recipe;

/// The version of this program, as runs record it.
pub const CODE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Queues jobs for one base model; clones share it.
#[derive(Clone)]
pub struct JobQueue {
    registry: Registry,
    base: Arc<Base>,
    default_recipe: Arc<Recipe>,
}

impl JobQueue {
    /// A queue of jobs that train `base`. Reads the recipe that the options name.
    pub fn new(registry: Registry, base: Base, options: &Options) -> Result<Self, Error> {
        let default_recipe = if options.recipe.as_os_str().is_empty() {
            automatic_recipe()
        } else {
            let read = std::fs::read_to_string(&options.recipe);
            Recipe::from_toml(&read.map_err(|source| Error::File { path: options.recipe.clone(), source })?)?
        };
        Ok(Self { registry, base: Arc::new(base), default_recipe: Arc::new(default_recipe) })
    }

    /// The base model.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The recipe of an author's jobs: one that was set, else the configured one.
    pub async fn recipe_of(&self, author: &AuthorId) -> Result<Recipe, Error> {
        match self.registry.recipe(author).await? {
            Some(stored) => Ok(from_canonical(&stored.recipe)?),
            None => Ok((*self.default_recipe).clone()),
        }
    }

    /// Queues the training of a dataset by a recipe. The same again queues nothing and returns the job as it is.
    pub async fn train(&self, author: &AuthorId, dataset: &DatasetId, recipe: &Recipe) -> Result<JobRow, Error> {
        self.queue(author, dataset, recipe, None).await
    }

    pub(crate) async fn queue(
        &self,
        author: &AuthorId,
        dataset: &DatasetId,
        recipe: &Recipe,
        sweep: Option<&str>,
    ) -> Result<JobRow, Error> {
        recipe.validate()?;
        let recipe = recipe.canonical();
        // A trial is another job than the same work outside of its sweep: it makes no model.
        let named = match sweep {
            Some(sweep) => format!("{sweep}\n{recipe}"),
            None => recipe.clone(),
        };
        let job = JobId::of(dataset, &self.base.fingerprint, &named);
        let new = NewJob {
            job: job.clone(),
            author: author.clone(),
            dataset: dataset.clone(),
            base: self.base.fingerprint.clone(),
            recipe,
            sweep: sweep.map(str::to_owned),
            code_version: CODE_VERSION.to_owned(),
        };
        if self.registry.queue_job(new, Utc::now()).await? {
            info!(%author, job = job.short(), dataset = dataset.short(), "training job queued");
        }
        let queued = self.registry.job(&job.0).await?;
        queued.ok_or_else(|| Error::Refused(format!("the job {} is gone", job.short())))
    }
}

/// The recipe of jobs where none is configured: the defaults, and an end after at most 200 steps, or earlier when the
/// validation loss no longer falls. Nobody is there to see that a job goes on for days.
fn automatic_recipe() -> Recipe {
    Recipe { max_steps: 200, eval_every: 20, patience: 3, ..Recipe::default() }
}

/// A recipe from its canonical text.
pub fn from_canonical(text: &str) -> Result<Recipe, Error> {
    let read: Result<Recipe, _> = serde_json::from_str(text);
    let recipe = read.map_err(|error| Error::Refused(format!("the stored recipe can not be read: {error}")))?;
    recipe.validate()?;
    Ok(recipe)
}

/// The trainer stage: each new dataset version becomes a job.
pub struct Trigger {
    queue: JobQueue,
    automatic: bool,
}

impl Trigger {
    /// A stage that queues into `queue`.
    pub fn new(queue: JobQueue, options: &Options) -> Self {
        Self { queue, automatic: options.automatic }
    }

    async fn dataset_ready(&self, ready: &DatasetReady) -> Outcome {
        if !self.automatic {
            return Outcome::Done;
        }
        let queued = async {
            let recipe = self.queue.recipe_of(&ready.author).await?;
            self.queue.train(&ready.author, &ready.dataset, &recipe).await
        };
        match queued.await {
            Ok(_) => Outcome::Done,
            Err(error) if error.is_transient() => Outcome::wait("registry", error),
            Err(error) => Outcome::dead("recipe", error),
        }
    }
}

#[async_trait]
impl Handler for Trigger {
    type Input = DatasetReady;

    async fn handle(&self, batch: Vec<Message<DatasetReady>>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for message in batch {
            outcomes.push(match &message.payload {
                Some(ready) => self.dataset_ready(ready).await,
                None => Outcome::dead("decode", "a dataset version is never a tombstone"),
            });
        }
        outcomes
    }
}
