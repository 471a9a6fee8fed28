//! What an evaluation's process does.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use twin_artifacts::{Artifacts, FolderFile};
use twin_jobs::Worker;
use twin_llm::ChatModel;
use twin_schemas::{DatasetId, ModelId, Verdict};

use crate::{Error, Options, Progress, Subjects, evaluate, html, read_samples};

/// What is to be evaluated, by reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The candidate.
    pub model: ModelId,
    /// The version whose test split is used.
    pub dataset: DatasetId,
    /// The artifacts whose contents, one after the other, are the test samples.
    pub test: Vec<String>,
    /// The artifact store.
    pub artifacts: PathBuf,
    /// Where model versions lie as directories.
    pub models: PathBuf,
    /// The candidate's files.
    pub candidate: Version,
    /// The files of the version in production; none is the base model.
    pub production: Option<Version>,
    /// The base model.
    pub base: BaseModel,
    /// What is measured, and what the candidate must reach.
    pub options: Options,
}

/// The files of a model version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Its name.
    pub name: String,
    /// A Hugging Face directory.
    pub files: Vec<FolderFile>,
}

/// The base model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaseModel {
    /// Its name.
    pub name: String,
    /// A Hugging Face directory.
    pub path: PathBuf,
}

/// What an evaluation has made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// The outcome.
    pub verdict: Verdict,
    /// The artifact that holds the report as JSON.
    pub report: String,
    /// The artifact that holds the report as a page.
    pub page: String,
}

/// How far a process is, as its parent sees it.
#[derive(Debug, Serialize)]
struct Stand {
    role: Option<&'static str>,
    done: usize,
    total: usize,
}

/// Evaluates the job of that folder, and says there how it ended. `subjects` makes the models of an order, `judge` is asked
/// where there is one. An error is one that another attempt may not meet: nothing is said then. A disk that is full stays so
/// until somebody makes room.
pub async fn work<S: Subjects>(
    folder: &Path,
    subjects: impl FnOnce(&Order) -> S,
    judge: Option<&dyn ChatModel>,
) -> Result<(), Error> {
    let worker = Worker::begin(folder)?;
    let order: Order = worker.order()?;
    let outcome = match run(&worker, &order, &subjects(&order), judge).await {
        Ok(product) => {
            info!(verdict = product.verdict.as_str(), "evaluation is done");
            Ok(product)
        }
        Err(error) if error.is_transient() && !error.is_of_the_disk() => return Err(error),
        Err(error) => {
            warn!(%error, "evaluation has failed");
            Err(error.to_string())
        }
    };
    Ok(worker.finish(&outcome)?)
}

async fn run(
    worker: &Worker,
    order: &Order,
    subjects: &dyn Subjects,
    judge: Option<&dyn ChatModel>,
) -> Result<Product, Error> {
    let artifacts = Artifacts::existing(&order.artifacts)?;
    let mut text = Vec::new();
    for part in &order.test {
        text.extend(artifacts.get(part).await?);
    }
    let samples = read_samples(text.as_slice())?;
    let progress = |now: Progress| {
        let stand = Stand { role: now.role.map(crate::SubjectRole::as_str), done: now.done, total: now.total };
        if let Err(error) = worker.progress(&stand) {
            warn!(%error, "the progress could not be written");
        }
        ControlFlow::Continue(())
    };
    let report = evaluate(&order.dataset, &samples, subjects, judge, &order.options, &progress).await?;
    let page = html(&report)?;
    Ok(Product {
        verdict: report.verdict,
        report: artifacts.put(serde_json::to_vec(&report)?).await?,
        page: artifacts.put(page.into_bytes()).await?,
    })
}
