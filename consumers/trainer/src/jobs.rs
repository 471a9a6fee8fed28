//! Training jobs from the queue to the model: what the supervisor does not know of any kind of job.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use tokio::sync::watch;
use tracing::{info, warn};
use twin_artifacts::Artifacts;
use twin_backend::Error as BackendError;
use twin_coordination::Member;
use twin_jobs::{Ending, Job, Pauses, Queue, Resources, Runner, Stage, Supervisor};
use twin_registry::{Interest, JobOutcome, JobRow, JobState, ModelManifest, NewModel, Registry, read_dataset_manifest};
use twin_training::{Base, Recipe};

use crate::Error;
use crate::folds::FoldLimits;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::order::{Keep, Training, TrainingOrder, TrainingProduct, TrainingReport};
use crate::samples::samples_for;
use crate::sweeps;

/// What training jobs work with.
pub struct Dependencies {
    /// Datasets, jobs and models.
    pub registry: Registry,
    /// Manifests.
    pub artifacts: Artifacts,
    /// The base model.
    pub base: Base,
}

/// The supervisor of training jobs, which run where `runner` says.
pub fn supervisor(
    options: &Options,
    dependencies: Dependencies,
    runner: Arc<dyn Runner<Training>>,
    member: Member,
    metrics: Metrics,
) -> Supervisor<TrainingJobs> {
    let how = twin_jobs::Options {
        jobs: options.jobs,
        attempts: options.attempts,
        resources: Resources {
            memory_bytes: options.max_memory_mb << 20,
            seconds: options.max_minutes.saturating_mul(60),
        },
        pauses: Pauses::default(),
    };
    Supervisor::new(TrainingJobs::new(dependencies, options, metrics), runner, member, how)
}

/// The training jobs of the registry.
pub struct TrainingJobs {
    dependencies: Dependencies,
    threads: usize,
    max_left_out: f64,
    folds: FoldLimits,
    metrics: Metrics,
}

impl TrainingJobs {
    /// Jobs that run as the options say.
    pub fn new(dependencies: Dependencies, options: &Options, metrics: Metrics) -> Self {
        let Options { threads, max_left_out, .. } = *options;
        Self { dependencies, threads, max_left_out, folds: options.fold_limits(), metrics }
    }

    async fn order_of(&self, row: &JobRow) -> Result<TrainingOrder, Error> {
        let Dependencies { registry, artifacts, base } = &self.dependencies;
        base.require(&row.base)?;
        let recipe = Recipe::from_canonical(&row.recipe)?;
        let dataset = registry.dataset(&row.dataset.0).await?;
        let dataset = dataset.ok_or_else(|| Error::Refused(format!("there is no dataset {}", row.dataset.short())))?;
        let manifest = read_dataset_manifest(artifacts, &dataset.manifest).await?;
        let mut stages = samples_for(&recipe, &manifest)?.into_iter();
        let first = stages.next().ok_or_else(|| Error::Refused("the recipe has no stage".to_owned()))?;
        let progress = registry.job(&row.job.0).await?.and_then(|row| row.progress).unwrap_or_default();
        // Trials are compared by their losses: nobody evaluates them.
        let folds = if row.sweep.is_some() { None } else { self.folds.order(&recipe, &manifest, progress.folds) };
        Ok(TrainingOrder {
            job: row.job.clone(),
            base: row.base.clone(),
            recipe: toml::to_string(&recipe).map_err(|error| Error::Refused(error.to_string()))?,
            train: first.train,
            validation: first.validation,
            following: stages.collect(),
            threads: self.threads,
            keep: if row.sweep.is_some() { Keep::Measurements } else { Keep::Merged },
            max_left_out: self.max_left_out,
            checkpoint: progress.checkpoint,
            folds,
        })
    }

    async fn finish(&self, row: &JobRow, attempt: u32, outcome: JobOutcome) -> Result<(), Error> {
        let name = match &outcome {
            JobOutcome::Succeeded(_) => "succeeded",
            JobOutcome::Failed(reason) => {
                warn!(job = row.job.short(), reason, "the job has failed");
                "failed"
            }
            JobOutcome::Cancelled(_) => "cancelled",
        };
        let model = self.dependencies.registry.finish_job(&row.job, attempt, outcome, Utc::now()).await?;
        self.metrics.jobs.with_label_values(&[name]).inc();
        if let Some(model) = model {
            info!(job = row.job.short(), %model, "the job has made a model");
        }
        Ok(())
    }

    /// Registers what the job has made. Repeated after a crash, it stores the same manifest.
    async fn register(&self, row: &JobRow, attempt: u32, product: TrainingProduct) -> Result<(), Error> {
        self.dependencies.registry.add_metrics(&row.job, product.metrics).await?;
        let model = match (&row.sweep, product.files) {
            (Some(_), _) => None,
            (None, None) => return Err(Error::Refused("the job has ended without the files of its model".to_owned())),
            (None, Some(files)) => {
                let manifest = ModelManifest {
                    author: row.author.clone(),
                    job: row.job.clone(),
                    dataset: row.dataset.clone(),
                    base: row.base.clone(),
                    recipe: row.recipe.clone(),
                    code_version: row.code_version.clone(),
                    steps: product.steps,
                    evaluation_loss: product.evaluation_loss,
                    seconds: product.seconds,
                    plan: product.plan,
                    merged: files.merged,
                    adapter: files.adapter,
                    curves: files.curves,
                    folds: product.folds,
                };
                let text = serde_json::to_vec(&manifest).map_err(|error| Error::Refused(error.to_string()))?;
                Some(NewModel { manifest: self.dependencies.artifacts.put(text).await? })
            }
        };
        self.finish(row, attempt, JobOutcome::Succeeded(model)).await
    }
}

#[async_trait]
impl Queue for TrainingJobs {
    type Kind = Training;
    type Row = JobRow;

    const NAME: &'static str = "train";

    fn changes(&self) -> watch::Receiver<()> {
        self.dependencies.registry.changes(Interest::Jobs)
    }

    async fn open(&self) -> Result<Vec<Job<JobRow>>, BackendError> {
        let rows = self.dependencies.registry.open_jobs().await.map_err(Error::from)?;
        let running = rows.iter().filter(|row| row.state == JobState::Running).count();
        self.metrics.running.set(running as i64);
        Ok(rows.into_iter().map(job_of).collect())
    }

    async fn order(&self, job: &Job<JobRow>) -> Result<TrainingOrder, BackendError> {
        Ok(self.order_of(&job.row).await?)
    }

    async fn start(&self, job: &Job<JobRow>) -> Result<Option<u32>, BackendError> {
        Ok(self.dependencies.registry.start_job(&job.row.job, Utc::now()).await.map_err(Error::from)?)
    }

    async fn report(
        &self,
        job: &Job<JobRow>,
        report: &TrainingReport,
        before: Option<&TrainingReport>,
    ) -> Result<(), BackendError> {
        let (registry, progress) = (&self.dependencies.registry, report.progress.clone());
        let noted = registry.note_job_progress(&job.row.job, job.attempts, progress).await.map_err(Error::from)?;
        if !noted {
            // It comes late. What an attempt measures again that goes on is there already.
            return Ok(());
        }
        let is_new = |metric: &&_| before.is_none_or(|before| !before.metrics.contains(*metric));
        let new = report.metrics.iter().filter(is_new).cloned().collect();
        registry.add_metrics(&job.row.job, new).await.map_err(Error::from)?;
        Ok(())
    }

    async fn requeue(&self, job: &Job<JobRow>, reason: &str) -> Result<(), BackendError> {
        let registry = &self.dependencies.registry;
        Ok(registry.requeue_job(&job.row.job, job.attempts, reason, Utc::now()).await.map_err(Error::from)?)
    }

    async fn collect(&self, job: &Job<JobRow>, product: TrainingProduct) -> Result<(), BackendError> {
        Ok(self.register(&job.row, job.attempts, product).await?)
    }

    async fn end(&self, job: &Job<JobRow>, attempt: u32, ending: Ending) -> Result<(), BackendError> {
        let outcome = match ending {
            Ending::Failed(reason) => JobOutcome::Failed(reason),
            Ending::Cancelled(reason) => JobOutcome::Cancelled(reason),
        };
        Ok(self.finish(&job.row, attempt, outcome).await?)
    }

    async fn conclude(&self) -> Result<(), BackendError> {
        Ok(sweeps::conclude(&self.dependencies.registry).await?)
    }
}

fn job_of(row: JobRow) -> Job<JobRow> {
    let stop = row.cancel_requested.then(|| row.reason.clone().unwrap_or_else(|| "cancelled".to_owned()));
    Job {
        name: row.job.0.clone(),
        stage: if row.state == JobState::Running { Stage::Running } else { Stage::Queued },
        attempts: row.attempts,
        stop,
        row,
    }
}
