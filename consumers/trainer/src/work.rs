//! What a job's process does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;
use tracing::{info, warn};
use twin_artifacts::{Artifacts, FolderFile};
use twin_jobs::{Outcome, Worker};
use twin_registry::{JobCheckpoint, JobProgress, Metric};
use twin_training::{Base, Engine, Finished, Observer, Plan, Progress, Recipe, SampleFiles, Task, metric_of};

use crate::Error;
use crate::checkpoints::StoredCheckpoints;
use crate::folds;
use crate::order::{Keep, ModelFiles, TrainingOrder, TrainingProduct, TrainingReport};
use crate::samples::StageSamples;

/// Does the job of that folder with an engine, and says there how it ended. `artifacts` is the artifact store's address
/// here, `base` where this machine has a base model.
///
/// An error is one that another attempt may not meet; the folder says so too, unless it is the folder that failed.
pub async fn work(folder: &Path, artifacts: &str, base: &Path, engine: Arc<dyn Engine>) -> Result<(), Error> {
    let worker = Arc::new(Worker::begin(folder)?);
    let order: TrainingOrder = worker.order()?;
    match done(&worker, &order, artifacts, base, engine).await {
        Ok(product) => {
            info!(steps = product.steps, seconds = product.seconds, "training is done");
            Ok(worker.finish(&Outcome::Succeeded(product))?)
        }
        Err(error) if error.is_transient() && !error.is_of_a_full_disk() => {
            worker.finish(&Outcome::<TrainingProduct>::Interrupted(error.to_string()))?;
            Err(error)
        }
        Err(error) => {
            let problem = explained(&error);
            warn!(problem, "training has failed");
            Ok(worker.finish(&Outcome::<TrainingProduct>::Failed(problem))?)
        }
    }
}

/// Why a job ends without a model. A disk that is full stays so until somebody makes room: another attempt at once
/// would end as this one.
fn explained(error: &Error) -> String {
    if error.is_of_a_full_disk() {
        return format!(
            "the disk is full: {error}; make room, then try the job again: it goes on from its last checkpoint"
        );
    }
    error.to_string()
}

async fn done(
    worker: &Arc<Worker>,
    order: &TrainingOrder,
    artifacts: &str,
    base: &Path,
    engine: Arc<dyn Engine>,
) -> Result<TrainingProduct, Error> {
    let began = Instant::now();
    let artifacts = Artifacts::open_existing(artifacts)?;
    let task = prepare(worker.folder(), order, base, &artifacts).await?;
    let (engine, task, plan) = planned(engine, task).await?;
    let progress = JobProgress {
        steps: plan.steps,
        plan: Some(plan.clone()),
        checkpoint: order.checkpoint.clone(),
        folds: order.folds.as_ref().map(|folds| folds.done.clone()).unwrap_or_default(),
        ..JobProgress::default()
    };
    let watch = Watch {
        worker: worker.clone(),
        artifacts: artifacts.clone(),
        runtime: Handle::current(),
        report: TrainingReport { progress, metrics: Vec::new() },
        stored: StoredCheckpoints::beginning_with(order.checkpoint.as_ref(), Utc::now()),
        evaluated: None,
        course: Course::default(),
    };
    watch.tell();
    plan.require_samples(order.max_left_out)?;
    // The model comes last, so that the checkpoint of a job is always that of the run under way.
    let (watch, folds) = match &order.folds {
        Some(wanted) => folds::train(wanted, &task, &plan, &engine, watch).await?,
        None => (watch, Vec::new()),
    };
    // What was planned is what is done.
    let task = Task { recipe: plan.recipe.clone(), ..task };
    let (_, finished) = trained(&engine, task, watch).await?;
    let files = stored(&finished, order.keep, &artifacts).await?;
    let metric =
        |measured: twin_training::Measured| Metric { name: measured.name, step: measured.step, value: measured.value };
    Ok(TrainingProduct {
        steps: finished.steps,
        evaluation_loss: finished.evaluation_loss,
        seconds: began.elapsed().as_secs_f64(),
        plan: Some(plan),
        metrics: finished.measured.into_iter().map(metric).collect(),
        files,
        folds,
    })
}

/// Does a run, off the runtime's threads.
pub(crate) async fn trained(
    engine: &Arc<dyn Engine>,
    task: Task,
    mut watch: Watch,
) -> Result<(Watch, Finished), Error> {
    watch.evaluated = None;
    watch.stored.begin_run();
    let engine = engine.clone();
    let trained = tokio::task::spawn_blocking(move || {
        let finished = engine.train(&task, &mut watch);
        (watch, finished)
    });
    let (watch, finished) = trained.await.map_err(|panic| Error::Refused(format!("training panicked: {panic}")))?;
    Ok((watch, finished.map_err(Error::Engine)?))
}

/// Brings what the job learns from into its folder, and a checkpoint that another machine has left.
async fn prepare(folder: &Path, order: &TrainingOrder, base: &Path, artifacts: &Artifacts) -> Result<Task, Error> {
    let recipe = Recipe::from_toml(&order.recipe)?;
    let SampleFiles { train, validation } =
        fetched(artifacts, &order.train, &order.validation, folder.to_owned()).await?;
    let following = following(artifacts, &order.following, folder).await?;
    let base = opened(base).await?;
    base.require(&order.base)?;
    if let Some(checkpoint) = &order.checkpoint {
        restore(artifacts, checkpoint, folder).await?;
    }
    Ok(Task {
        base: base.path,
        train,
        validation,
        following,
        recipe,
        folder: folder.to_owned(),
        threads: (order.threads > 0).then_some(order.threads),
        merge: order.keep == Keep::Merged,
    })
}

/// What the run will be. The samples are read and tokenised for it, off the runtime's threads.
async fn planned(engine: Arc<dyn Engine>, task: Task) -> Result<(Arc<dyn Engine>, Task, Plan), Error> {
    let planned = tokio::task::spawn_blocking(move || {
        let plan = engine.plan(&task)?;
        Ok((engine, task, plan))
    });
    let planned = planned.await.map_err(|panic| Error::Refused(format!("planning panicked: {panic}")))?;
    planned.map_err(Error::Engine)
}

/// The base model, opened off the runtime's threads: its folder and its files' headers are read.
pub(crate) async fn opened(base: &Path) -> Result<Base, Error> {
    let base = base.to_owned();
    let opened = tokio::task::spawn_blocking(move || Base::open(&base)).await;
    Ok(opened.map_err(|panic| Error::Refused(format!("opening the base model panicked: {panic}")))??)
}

/// The samples of the stages after the first, each in a folder of its own below that of the first's.
pub(crate) async fn following(
    artifacts: &Artifacts,
    stages: &[StageSamples],
    folder: &Path,
) -> Result<Vec<SampleFiles>, Error> {
    let mut files = Vec::with_capacity(stages.len());
    for (place, StageSamples { train, validation }) in stages.iter().enumerate() {
        let folder = folder.join(format!("stage-{}", place + 2));
        let of_folder = |source| Error::File { path: folder.clone(), source };
        tokio::fs::create_dir_all(&folder).await.map_err(of_folder)?;
        files.push(fetched(artifacts, train, validation, folder).await?);
    }
    Ok(files)
}

/// The samples of a stage as files of a folder.
pub(crate) async fn fetched(
    artifacts: &Artifacts,
    train: &[String],
    validation: &[String],
    folder: PathBuf,
) -> Result<SampleFiles, Error> {
    let files = SampleFiles { train: folder.join("train.jsonl"), validation: None };
    fetch(artifacts, train, &files.train).await?;
    if validation.is_empty() {
        return Ok(files);
    }
    let held_out = folder.join("validation.jsonl");
    fetch(artifacts, validation, &held_out).await?;
    Ok(SampleFiles { validation: Some(held_out), ..files })
}

async fn fetch(artifacts: &Artifacts, parts: &[String], target: &Path) -> Result<(), Error> {
    let of_file = |source| Error::File { path: target.to_owned(), source };
    let mut file = tokio::fs::File::create(target).await.map_err(of_file)?;
    for part in parts {
        file.write_all(&artifacts.get(part).await?).await.map_err(of_file)?;
    }
    file.flush().await.map_err(of_file)
}

/// Puts a checkpoint to its place, unless it is there. One that is lost costs the steps since the one before, and no
/// job.
async fn restore(artifacts: &Artifacts, checkpoint: &JobCheckpoint, folder: &Path) -> Result<(), Error> {
    let target = folder.join(&checkpoint.path);
    // One that can not be looked at is fetched, which says why it can not be.
    if tokio::fs::try_exists(&target).await.unwrap_or(false) {
        return Ok(());
    }
    match artifacts.fetch_folder(&checkpoint.files, &target).await {
        Ok(()) => {
            info!(step = checkpoint.step, "the checkpoint of an earlier attempt was fetched");
            Ok(())
        }
        Err(error) if error.is_transient() => Err(error.into()),
        Err(error) => {
            warn!(%error, step = checkpoint.step, "the checkpoint of an earlier attempt is lost");
            Ok(())
        }
    }
}

/// Stores what is wanted of the result. Repeated after a crash, this stores the same.
async fn stored(finished: &Finished, keep: Keep, artifacts: &Artifacts) -> Result<Option<ModelFiles>, Error> {
    if keep == Keep::Measurements {
        return Ok(None);
    }
    let folder = |name: &str| finished.output.join(name);
    let merged = match keep {
        Keep::Merged => Some(artifacts.put_folder(&folder("merged")).await?),
        Keep::Adapter | Keep::Measurements => None,
    };
    let adapter = artifacts.put_folder(&folder("adapter")).await?;
    Ok(Some(ModelFiles { adapter, merged, curves: curves(&finished.output, artifacts).await? }))
}

async fn curves(output: &Path, artifacts: &Artifacts) -> Result<Vec<FolderFile>, Error> {
    let mut curves = Vec::new();
    for name in ["loss.csv", "loss.json", "loss.svg"] {
        curves.push(artifacts.put_file(&output.join(name)).await?);
    }
    Ok(curves)
}

/// Where a run is among those of a job.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Course {
    /// Steps of the runs before it.
    pub steps_before: u64,
    /// Steps of the runs after it.
    pub steps_after: u64,
    /// Tokens of the runs after it.
    pub tokens_after: u64,
    /// It is none of the model: what it measures is not the job's.
    pub is_beside: bool,
}

/// Writes down how far the engine is.
pub(crate) struct Watch {
    worker: Arc<Worker>,
    pub artifacts: Artifacts,
    runtime: Handle,
    pub report: TrainingReport,
    stored: StoredCheckpoints,
    /// The stage and the step of the evaluation that was noted last.
    evaluated: Option<(usize, usize)>,
    pub course: Course,
}

/// Values kept in a report: a parent that looks every second misses none at any speed seen.
const KEPT_METRICS: usize = 256;

impl Watch {
    pub fn tell(&self) {
        if let Err(error) = self.worker.progress(&self.report) {
            warn!(%error, "the progress could not be written");
        }
    }

    /// Notes what a step has measured, for the curves of the run.
    fn measure(&mut self, now: &Progress) {
        let step = now.step as u64;
        let mut add = |name: String, value| self.report.metrics.push(Metric { name, step, value });
        add(metric_of("loss", now.stage), now.loss);
        add("learning_rate".to_owned(), now.learning_rate);
        add("tokens_per_s".to_owned(), now.tokens_per_s);
        if let Some((at, loss)) = now.evaluated_at.zip(now.evaluation_loss)
            && self.evaluated != Some((now.stage, at))
        {
            // That of a run that goes on was measured before it was interrupted.
            let name = metric_of("evaluation_loss", now.stage);
            self.report.metrics.push(Metric { name, step: at as u64, value: loss });
            self.evaluated = Some((now.stage, at));
        }
        let excess = self.report.metrics.len().saturating_sub(KEPT_METRICS);
        self.report.metrics.drain(..excess);
    }

    fn store(&self, step: usize, folder: &Path) -> Result<JobCheckpoint, Error> {
        let outside = || Error::Refused(format!("{} is not in the job's folder", folder.display()));
        let path = folder.strip_prefix(self.worker.folder()).map_err(|_| outside())?;
        let path: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
        let files = self.runtime.block_on(self.artifacts.put_folder(folder))?;
        Ok(JobCheckpoint { step: step as u64, path: path.join("/"), files })
    }
}

impl Observer for Watch {
    fn progress(&mut self, now: &Progress) {
        let course = self.course;
        if !course.is_beside {
            self.measure(now);
        }
        self.report.progress = JobProgress {
            step: course.steps_before + now.step as u64,
            steps: course.steps_before + now.steps as u64 + course.steps_after,
            loss: Some(now.loss),
            evaluation_loss: now.evaluation_loss,
            tokens_per_s: Some(now.tokens_per_s),
            eta_s: Some(now.eta_s + course.tokens_after as f64 / now.tokens_per_s),
            plan: self.report.progress.plan.take(),
            checkpoint: self.report.progress.checkpoint.take(),
            folds: std::mem::take(&mut self.report.progress.folds),
        };
        self.tell();
    }

    /// Stores it for other machines, if it is time to. This one has it already: what can not be stored keeps no step from being
    /// done.
    fn checkpoint(&mut self, step: usize, folder: &Path) {
        if !self.stored.is_due(Instant::now()) {
            return;
        }
        match self.store(step, folder) {
            Ok(checkpoint) => {
                let files = checkpoint.files.clone();
                self.report.progress.checkpoint = Some(checkpoint);
                self.tell();
                self.runtime.block_on(self.stored.add(&files, Instant::now(), Utc::now(), &self.artifacts));
            }
            Err(error) => warn!(%error, step, "the checkpoint could not be stored; it is on this machine alone"),
        }
    }
}
