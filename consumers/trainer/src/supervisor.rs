//! Follows jobs from the queue to their end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tracing::{info, warn};
use twin_artifacts::{Artifacts, FolderFile};
use twin_coordination::{Held, Member};
use twin_registry::{Interest, JobOutcome, JobRow, ModelManifest, NewModel, Registry};
use twin_schemas::JobId;
use twin_telemetry::ShutdownSignal;

use crate::Error;
use crate::base::Base;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::queue::from_canonical;
use crate::runner::{JobRunner, Order, Product, Report, Status};
use crate::sweep;
use twin_lora::Recipe;

/// Between looks at the jobs.
const LOOK: Duration = Duration::from_secs(1);

/// Finds the files of a dataset version: those to train on and those to evaluate on, each the artifacts that one JSONL
/// file is made of.
#[async_trait::async_trait]
pub trait DatasetFiles: Send + Sync {
    /// The files of the version whose manifest is this artifact, in the form that the recipe learns from.
    async fn of(&self, manifest: &str, recipe: &Recipe) -> Result<SampleFiles, Error>;
}

/// The samples of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleFiles {
    /// To train on.
    pub train: Vec<String>,
    /// To evaluate on; may be empty.
    pub validation: Vec<String>,
}

/// A job that this process follows.
struct Following {
    lease: Held,
    /// What was written of its last report.
    written: Report,
}

/// Starts queued jobs one after the other, follows the running one, and collects what it made. Of several supervisors one
/// follows a job, the one that holds its lease.
pub struct Supervisor {
    options: Options,
    registry: Registry,
    artifacts: Artifacts,
    artifacts_folder: PathBuf,
    base: Base,
    runner: Arc<dyn JobRunner>,
    datasets: Arc<dyn DatasetFiles>,
    member: Member,
    following: HashMap<JobId, Following>,
    metrics: Metrics,
}

impl Supervisor {
    /// A supervisor, not running yet. `artifacts_folder` is where jobs find the artifact store.
    #[expect(clippy::too_many_arguments, reason = "each is a part of its own, given once")]
    pub fn new(
        options: Options,
        registry: Registry,
        artifacts: Artifacts,
        artifacts_folder: PathBuf,
        base: Base,
        runner: Arc<dyn JobRunner>,
        datasets: Arc<dyn DatasetFiles>,
        member: Member,
        metrics: Metrics,
    ) -> Self {
        let following = HashMap::new();
        Self { options, registry, artifacts, artifacts_folder, base, runner, datasets, member, following, metrics }
    }

    /// Follows jobs until the shutdown begins. A job goes on after that, and is found again.
    pub async fn run(mut self, shutdown: ShutdownSignal) {
        let mut changes = self.registry.changes(Interest::Jobs);
        while !shutdown.has_begun() {
            if let Err(error) = self.look().await {
                warn!(%error, "training jobs could not be looked after, trying again");
            }
            tokio::select! {
                () = shutdown.begun() => {}
                () = tokio::time::sleep(LOOK) => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// Looks at every job once.
    pub async fn look(&mut self) -> Result<(), Error> {
        let running = self.registry.running_jobs().await?;
        self.metrics.running.set(running.len() as i64);
        self.leave_all_but(&running).await;
        for job in &running {
            if self.holds(job).await? {
                self.follow(job).await?;
            }
        }
        sweep::conclude(&self.registry).await?;
        if self.following.is_empty() {
            for next in self.registry.queued_jobs().await? {
                if self.holds(&next).await? {
                    return self.start(&next).await;
                }
            }
        }
        Ok(())
    }

    /// Lets go of jobs that run no more.
    async fn leave_all_but(&mut self, running: &[JobRow]) {
        let is_over = |job: &JobId| !running.iter().any(|row| row.job == *job);
        for (job, following) in self.following.extract_if(|job, _| is_over(job)).collect::<Vec<_>>() {
            if let Err(error) = following.lease.release().await {
                warn!(%error, job = job.short(), "the job's lease was not released; it runs out");
            }
        }
    }

    /// Whether this process is the one that follows the job.
    async fn holds(&mut self, job: &JobRow) -> Result<bool, Error> {
        if self.following.get(&job.job).is_some_and(|following| following.lease.is_held()) {
            return Ok(true);
        }
        self.following.remove(&job.job);
        let Some(lease) = self.member.hold(&format!("train/{}", job.job)).await? else { return Ok(false) };
        self.following.insert(job.job.clone(), Following { lease, written: Report::default() });
        Ok(true)
    }

    async fn start(&self, job: &JobRow) -> Result<(), Error> {
        let order = match self.order(job).await {
            Ok(order) => order,
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                let Some(attempt) = self.registry.start_job(&job.job, Utc::now()).await? else { return Ok(()) };
                return self.finish(job, attempt, JobOutcome::Failed(error.to_string())).await;
            }
        };
        // Started again on purpose: an outcome from before does not count.
        self.runner.reopen(&job.job).await?;
        if self.registry.start_job(&job.job, Utc::now()).await?.is_some() {
            info!(job = job.job.short(), author = %job.author, "training starts");
            self.runner.submit(&order).await?;
        }
        Ok(())
    }

    async fn order(&self, job: &JobRow) -> Result<Order, Error> {
        if job.base != self.base.fingerprint {
            return Err(Error::Refused(format!(
                "the job is for another base model than {}: set trainer.base to that one, or train again",
                self.base.path.display()
            )));
        }
        let recipe = from_canonical(&job.recipe)?;
        let dataset = self.registry.dataset(&job.dataset.0).await?;
        let dataset = dataset.ok_or_else(|| Error::Refused(format!("there is no dataset {}", job.dataset.short())))?;
        let files = self.datasets.of(&dataset.manifest, &recipe).await?;
        let recipe = toml::to_string(&recipe).map_err(|error| Error::Refused(error.to_string()))?;
        Ok(Order {
            job: job.job.clone(),
            base: self.base.path.clone(),
            recipe,
            train: files.train,
            validation: files.validation,
            artifacts: self.artifacts_folder.clone(),
            threads: self.options.threads,
        })
    }

    async fn follow(&mut self, job: &JobRow) -> Result<(), Error> {
        match self.runner.status(&job.job).await? {
            Status::Running(report) => {
                if let Some(report) = report {
                    self.write_report(&job.job, report).await?;
                }
                if job.cancel_requested {
                    self.runner.cancel(&job.job).await?;
                    let reason = job.reason.clone().unwrap_or_else(|| "cancelled".to_owned());
                    self.finish(job, job.attempts, JobOutcome::Cancelled(reason)).await?;
                }
                Ok(())
            }
            Status::Succeeded(product) => self.collect(job, &product).await,
            Status::Failed(problem) => self.finish(job, job.attempts, JobOutcome::Failed(problem)).await,
            Status::Absent(said) => self.after_a_death(job, &said).await,
        }
    }

    /// Writes what is new in a report.
    async fn write_report(&mut self, job: &JobId, report: Report) -> Result<(), Error> {
        let Some(following) = self.following.get_mut(job) else { return Ok(()) };
        if following.written == report {
            return Ok(());
        }
        let known = &following.written.metrics;
        let new: Vec<_> = report.metrics.iter().filter(|metric| !known.contains(metric)).cloned().collect();
        self.registry.add_metrics(job, new).await?;
        if following.written.progress != report.progress {
            self.registry.note_job_progress(job, report.progress.clone()).await?;
        }
        following.written = report;
        Ok(())
    }

    /// The job's process is gone and has not said how it ended: it was killed, or its machine went down.
    async fn after_a_death(&self, job: &JobRow, said: &str) -> Result<(), Error> {
        if job.cancel_requested {
            return self.finish(job, job.attempts, JobOutcome::Cancelled("cancelled".to_owned())).await;
        }
        if job.attempts < self.options.attempts {
            warn!(
                job = job.job.short(),
                attempts = job.attempts,
                "the job's process is gone; it goes on from its last checkpoint"
            );
            let reason = "its process was gone; it goes on from its last checkpoint";
            return Ok(self.registry.requeue_job(&job.job, job.attempts, reason, Utc::now()).await?);
        }
        let last = said.lines().last().unwrap_or("nothing");
        let reason = format!("its process was gone {} times without an outcome; it said last: {last}", job.attempts);
        self.finish(job, job.attempts, JobOutcome::Failed(reason)).await
    }

    async fn finish(&self, job: &JobRow, attempt: u32, outcome: JobOutcome) -> Result<(), Error> {
        let name = match &outcome {
            JobOutcome::Succeeded(_) => "succeeded",
            JobOutcome::Failed(reason) => {
                warn!(job = job.job.short(), reason, "the job has failed");
                "failed"
            }
            JobOutcome::Cancelled(_) => "cancelled",
        };
        let model = self.registry.finish_job(&job.job, attempt, outcome, Utc::now()).await?;
        self.metrics.jobs.with_label_values(&[name]).inc();
        if let Some(model) = model {
            info!(job = job.job.short(), %model, "the job has made a model");
        }
        Ok(())
    }

    /// Stores what the job made, registers it, and removes the job's folder. Repeated after a crash, this stores the same.
    async fn collect(&self, job: &JobRow, product: &Product) -> Result<(), Error> {
        self.registry.add_metrics(&job.job, product.metrics.clone()).await?;
        let model = match job.sweep {
            Some(_) => None,
            None => Some(NewModel { manifest: self.store(job, product).await? }),
        };
        self.finish(job, job.attempts, JobOutcome::Succeeded(model)).await?;
        self.runner.forget(&job.job).await
    }

    async fn store(&self, job: &JobRow, product: &Product) -> Result<String, Error> {
        let folder = |name: &str| product.output.join(name);
        let manifest = ModelManifest {
            author: job.author.clone(),
            job: job.job.clone(),
            dataset: job.dataset.clone(),
            base: job.base.clone(),
            recipe: job.recipe.clone(),
            code_version: job.code_version.clone(),
            steps: product.steps,
            evaluation_loss: product.evaluation_loss,
            seconds: product.seconds,
            merged: self.artifacts.put_folder(&folder("merged")).await?,
            adapter: self.artifacts.put_folder(&folder("adapter")).await?,
            curves: self.curves(&product.output).await?,
        };
        let text = serde_json::to_vec(&manifest).map_err(|error| Error::Refused(error.to_string()))?;
        Ok(self.artifacts.put(text).await?)
    }

    async fn curves(&self, output: &Path) -> Result<Vec<FolderFile>, Error> {
        let mut curves = Vec::new();
        for name in ["loss.csv", "loss.json", "loss.svg"] {
            curves.push(self.artifacts.put_file(&output.join(name)).await?);
        }
        Ok(curves)
    }
}
