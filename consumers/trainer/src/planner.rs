//! What a job would be, before it is queued.

use std::sync::Arc;

use twin_artifacts::Artifacts;
use twin_registry::{JobState, Registry, read_dataset_manifest};
use twin_schemas::DatasetId;
use twin_training::{Base, Engine, Plan, Recipe, SampleFiles, Task};

use crate::Error;
use crate::folds::{FoldLimits, FoldRun, prepared};
use crate::samples::samples_for;
use crate::work::{fetched, following};

/// Jobs looked through for one that measured how fast this machine is.
const LAST_JOBS: u32 = 50;

/// Plans jobs.
#[derive(Clone)]
pub struct Planner {
    /// Datasets, and jobs of before.
    pub registry: Registry,
    /// Samples.
    pub artifacts: Artifacts,
    /// The base model.
    pub base: Base,
    /// What would train.
    pub engine: Arc<dyn Engine>,
    /// Threads of a job; 0 is as many as the machine has.
    pub threads: usize,
    /// When a job trains folds.
    pub folds: FoldLimits,
}

/// What a job would be, and how long it would take here.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What it would be, without its folds.
    pub plan: Plan,
    /// Seconds, with its folds; estimated.
    pub seconds: f64,
    /// Whether that is by the pace of the newest job on the same base model. Else it is by a pace that was measured on
    /// another machine, and on as many cores as a job has threads.
    pub by_a_job: bool,
    /// What it would train beside the model; none: nothing.
    pub folds: Option<PlannedFolds>,
}

/// The folds of a job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlannedFolds {
    /// How many.
    pub folds: u64,
    /// Steps of all of them together, at most.
    pub steps: u64,
    /// Tokens trained on in them.
    pub tokens: u64,
    /// Seconds that they take of the job's; estimated.
    pub seconds: f64,
}

impl Planner {
    /// Plans the training of a dataset by a recipe. The samples are read for it, which takes seconds; nothing is kept.
    pub async fn plan(&self, dataset: &DatasetId, recipe: &Recipe) -> Result<Planned, Error> {
        recipe.validate()?;
        let row = self.registry.dataset(&dataset.0).await?;
        let row = row.ok_or_else(|| Error::Refused(format!("there is no dataset {}", dataset.short())))?;
        let manifest = read_dataset_manifest(&self.artifacts, &row.manifest).await?;
        let stages = samples_for(recipe, &manifest)?;
        let place = tempfile::tempdir();
        let place = place.map_err(|source| Error::File { path: std::env::temp_dir(), source })?;
        let Some((first, later)) = stages.split_first() else {
            return Err(Error::Refused("the recipe has no stage".to_owned()));
        };
        let SampleFiles { train, validation } =
            fetched(&self.artifacts, &first.train, &first.validation, place.path().to_owned()).await?;
        let task = Task {
            base: self.base.path.clone(),
            train,
            validation,
            following: following(&self.artifacts, later, place.path()).await?,
            recipe: recipe.clone(),
            folder: place.path().join("work"),
            threads: None,
            merge: false,
        };
        let (engine, planned) = (self.engine.clone(), task.clone());
        let plan = tokio::task::spawn_blocking(move || engine.plan(&planned)).await;
        let plan = plan.map_err(|panic| Error::Refused(format!("planning panicked: {panic}")))?;
        let plan = plan.map_err(Error::Engine)?;
        let folds = match self.folds.order(recipe, &manifest, Vec::new()) {
            Some(order) => prepared(&order, &task, &plan, &self.engine, &self.artifacts).await?,
            None => Vec::new(),
        };
        self.timed(plan, &folds).await
    }

    async fn timed(&self, plan: Plan, folds: &[FoldRun]) -> Result<Planned, Error> {
        let pace = self.measured_pace(&plan).await?;
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let threads = if self.threads > 0 { self.threads.min(cores) } else { cores };
        let seconds_of = |plan: &Plan| pace.map_or_else(|| plan.seconds_on(threads), |pace| plan.seconds_at(pace));
        let of_folds = PlannedFolds {
            folds: folds.len() as u64,
            steps: folds.iter().map(|fold| fold.plan.steps).sum(),
            tokens: folds.iter().map(|fold| fold.plan.tokens).sum(),
            seconds: folds.iter().map(|fold| seconds_of(&fold.plan)).sum(),
        };
        Ok(Planned {
            seconds: seconds_of(&plan) + of_folds.seconds,
            by_a_job: pace.is_some(),
            folds: (!folds.is_empty()).then_some(of_folds),
            plan,
        })
    }

    /// Trained tokens a second of the newest job of this base model by a plan with packs of about the same length: where
    /// packs are much longer or shorter the pace is another.
    async fn measured_pace(&self, plan: &Plan) -> Result<Option<f64>, Error> {
        let jobs = self.registry.newest_jobs(None, Some(JobState::Succeeded), LAST_JOBS).await?;
        let wanted = &plan.recipe;
        let is_like = |recipe: &Recipe| {
            let both = recipe.pack_tokens.zip(wanted.pack_tokens);
            recipe.method == wanted.method
                && recipe.stages.is_empty() == wanted.stages.is_empty()
                && recipe.targets == wanted.targets
                && both.is_some_and(|(one, other)| one <= 2 * other && other <= 2 * one)
        };
        let of_base = jobs.into_iter().filter(|job| job.base == self.base.fingerprint);
        let progress = of_base.filter_map(|job| job.progress);
        let like = progress.filter(|progress| progress.plan.as_ref().is_some_and(|plan| is_like(&plan.recipe)));
        Ok(like.filter_map(|progress| progress.tokens_per_s).find(|pace| pace.is_finite() && *pace > 0.0))
    }
}
