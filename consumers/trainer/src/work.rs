//! What a job's process does.

use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio::io::AsyncWriteExt;
use tracing::{info, warn};
use twin_artifacts::Artifacts;
use twin_jobs::Worker;
use twin_registry::{JobProgress, Metric};

use crate::Error;
use crate::runner::{Order, Product, Report};
use twin_lora::{Observer, Progress, Recipe, Task};

/// Does the job of that folder, and says there how it ended. An error is one that another attempt may not meet.
pub async fn work(folder: &Path) -> Result<(), Error> {
    let mut worker = Worker::begin(folder)?;
    let order: Order = worker.order()?;
    let trained = match prepare(&worker, &order).await {
        Ok(task) => {
            let (lent, trained) = tokio::task::spawn_blocking(move || {
                let trained = train(&worker, &task);
                (worker, trained)
            })
            .await
            .map_err(|panic| Error::Refused(format!("training panicked: {panic}")))?;
            worker = lent;
            trained
        }
        Err(error) => Err(error),
    };
    let outcome = match trained {
        Ok(product) => {
            info!(steps = product.steps, seconds = product.seconds, "training is done");
            Ok(product)
        }
        Err(error) if error.is_transient() && !error.is_of_a_full_disk() => return Err(error),
        Err(error) => {
            let problem = explained(&error);
            warn!(problem, "training has failed");
            Err(problem)
        }
    };
    Ok(worker.finish(&outcome)?)
}

/// Why a job ends without a model. A disk that is full stays so until somebody makes room: another attempt at once would
/// end as this one.
fn explained(error: &Error) -> String {
    if error.is_of_a_full_disk() {
        return format!(
            "the disk is full: {error}; make room, then try the job again: it goes on from its last checkpoint"
        );
    }
    error.to_string()
}

/// Brings the samples into the job's folder.
async fn prepare(worker: &Worker, order: &Order) -> Result<Task, Error> {
    let recipe = Recipe::from_toml(&order.recipe)?;
    let artifacts = order.store()?;
    let train = worker.folder().join("train.jsonl");
    fetch(&artifacts, &order.train, &train).await?;
    let validation = worker.folder().join("validation.jsonl");
    fetch(&artifacts, &order.validation, &validation).await?;
    Ok(Task {
        base: order.base.clone(),
        train,
        validation: (!order.validation.is_empty()).then_some(validation),
        recipe,
        folder: worker.folder().to_owned(),
        threads: (order.threads > 0).then_some(order.threads),
    })
}

async fn fetch(artifacts: &Artifacts, parts: &[String], target: &Path) -> Result<(), Error> {
    let of_file = |source| Error::File { path: target.to_owned(), source };
    let mut file = tokio::fs::File::create(target).await.map_err(of_file)?;
    for part in parts {
        file.write_all(&artifacts.get(part).await?).await.map_err(of_file)?;
    }
    file.flush().await.map_err(of_file)
}

fn train(worker: &Worker, task: &Task) -> Result<Product, Error> {
    let began = Instant::now();
    let mut watch = Watch { worker, report: Report::default(), evaluation_loss: None };
    let trained = twin_lora::train(task, &mut watch)?;
    let summary = &trained.manifest.summary;
    let curve: twin_lora::Curve = read_curve(&trained.output)?;
    Ok(Product {
        steps: summary.steps as u64,
        evaluation_loss: summary.evaluation_loss,
        seconds: began.elapsed().as_secs_f64(),
        metrics: metrics(&curve),
        output: trained.output,
    })
}

fn read_curve(output: &Path) -> Result<twin_lora::Curve, Error> {
    let path: PathBuf = output.join("loss.json");
    let text = std::fs::read(&path).map_err(|source| Error::File { path: path.clone(), source })?;
    serde_json::from_slice(&text).map_err(|error| Error::Refused(format!("{}: {error}", path.display())))
}

/// Every value of a run, of the steps before an interruption too.
fn metrics(curve: &twin_lora::Curve) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for point in &curve.steps {
        let step = point.step as u64;
        metrics.push(Metric { name: "loss".to_owned(), step, value: point.loss });
        metrics.push(Metric { name: "learning_rate".to_owned(), step, value: point.learning_rate });
    }
    for point in &curve.evaluations {
        metrics.push(Metric { name: "evaluation_loss".to_owned(), step: point.step as u64, value: point.loss });
    }
    metrics
}

/// Writes down how far the engine is.
struct Watch<'a> {
    worker: &'a Worker,
    report: Report,
    evaluation_loss: Option<f64>,
}

/// Values kept in a report: a parent that looks every second misses none at any speed seen.
const KEPT_METRICS: usize = 256;

impl Observer for Watch<'_> {
    fn progress(&mut self, now: &Progress) {
        let step = now.step as u64;
        let mut add = |name: &str, value| self.report.metrics.push(Metric { name: name.to_owned(), step, value });
        add("loss", now.loss);
        add("learning_rate", now.learning_rate);
        add("tokens_per_s", now.tokens_per_s);
        if let Some(loss) = now.evaluation_loss.filter(|_| now.evaluation_loss != self.evaluation_loss) {
            add("evaluation_loss", loss);
            self.evaluation_loss = now.evaluation_loss;
        }
        let excess = self.report.metrics.len().saturating_sub(KEPT_METRICS);
        self.report.metrics.drain(..excess);
        self.report.progress = JobProgress {
            step,
            steps: now.steps as u64,
            loss: Some(now.loss),
            evaluation_loss: now.evaluation_loss,
            tokens_per_s: Some(now.tokens_per_s),
            eta_s: Some(now.eta_s),
        };
        if let Err(error) = self.worker.progress(&self.report) {
            warn!(%error, "the progress could not be written");
        }
    }
}
