//! Follows evaluations from the queue to the verdict.

use std::path::PathBuf;
use std::time::Duration;

use chrono::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use twin_artifacts::Artifacts;
use twin_jobs::{Children, Limits, Look};
use twin_registry::{EvaluationRow, EvaluationState, Registry};
use twin_schemas::{DatasetId, ModelId};
use twin_telemetry::ShutdownSignal;
use url::Url;

use crate::metrics::Metrics;
use crate::work::{BaseModel, Order, Product, Version};
use crate::{Error, Options};

/// Between looks at the evaluations.
const LOOK: Duration = Duration::from_secs(1);

/// How evaluations are run, and what follows from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceOptions {
    /// Who approves a model that has passed.
    pub approval: Approval,
    /// Resident memory of an evaluation, MB. One that needs more is killed.
    pub max_memory_mb: u64,
    /// Minutes of an evaluation's attempt. One that takes longer is killed.
    pub max_minutes: u64,
    /// Times that an evaluation is started before it counts as failed.
    pub attempts: u32,
    /// Base URL of an OpenAI-compatible endpoint whose model is shown pairs of answers and says which it prefers. Absent:
    /// nobody is asked.
    #[schemars(with = "Option<String>")]
    pub judge_endpoint: Option<Url>,
    /// The judge's name at the endpoint.
    pub judge_model: String,
    /// Key for the judge's endpoint. Better given as `TWIN_EVALUATOR_JUDGE_API_KEY`.
    pub judge_api_key: Option<String>,
    /// What is measured, and what a candidate must reach.
    pub measure: Options,
}

/// Who approves a model that has passed its evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// A person, with `twin models approve`.
    Manual,
    /// Nobody has to: it is deployed at once.
    Auto,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            approval: Approval::Manual,
            max_memory_mb: 16_384,
            max_minutes: 12 * 60,
            attempts: 3,
            judge_endpoint: None,
            judge_model: "default".to_owned(),
            judge_api_key: None,
            measure: Options::default(),
        }
    }
}

/// What went wrong on the way to a verdict.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Registry(#[from] twin_registry::Error),
    #[error(transparent)]
    Job(#[from] twin_jobs::Error),
    /// It may succeed later.
    #[error(transparent)]
    Passing(Error),
    /// It can not succeed later either.
    #[error("{0}")]
    Hopeless(String),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if error.is_transient() { Self::Passing(error) } else { Self::Hopeless(error.to_string()) }
    }
}

/// Finds the test samples of a dataset version.
#[async_trait::async_trait]
pub trait TestFiles: Send + Sync {
    /// The artifacts whose contents, one after the other, are the test samples as JSONL, of the version whose manifest is
    /// this artifact.
    async fn of(&self, manifest: &str) -> Result<Vec<String>, Error>;
}

/// What the service works with.
pub struct Dependencies {
    /// Models and their evaluations.
    pub registry: Registry,
    /// Manifests and reports.
    pub artifacts: Artifacts,
    /// Where a child process finds the artifact store.
    pub artifacts_folder: PathBuf,
    /// Where model versions lie as directories.
    pub models_folder: PathBuf,
    /// The base model.
    pub base: BaseModel,
    /// Finds test samples.
    pub datasets: Box<dyn TestFiles>,
}

/// Runs one evaluation after the other, each in a child process.
pub struct Service {
    options: ServiceOptions,
    dependencies: Dependencies,
    children: Children,
    metrics: Metrics,
}

impl Service {
    /// A service whose children run `program` with `arguments` and a folder below `folder`.
    pub fn new(
        options: ServiceOptions,
        dependencies: Dependencies,
        program: PathBuf,
        arguments: Vec<String>,
        folder: PathBuf,
        metrics: Metrics,
    ) -> Self {
        let limits = Limits {
            memory: options.max_memory_mb << 20,
            time: Duration::from_secs(options.max_minutes.saturating_mul(60)),
        };
        Self { options, dependencies, children: Children::new(program, arguments, folder, limits), metrics }
    }

    /// Follows evaluations until the shutdown begins. One that is under way goes on after that, and is found again.
    pub async fn run(self, shutdown: ShutdownSignal) {
        let mut changes = self.dependencies.registry.changes();
        while !shutdown.has_begun() {
            if let Err(error) = self.look().await {
                warn!(%error, "evaluations could not be looked after, trying again");
            }
            tokio::select! {
                () = shutdown.begun() => {}
                () = tokio::time::sleep(LOOK) => {}
                _ = changes.changed() => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn look(&self) -> Result<(), Problem> {
        let open = self.dependencies.registry.open_evaluations().await?;
        let is_running = |evaluation: &&EvaluationRow| evaluation.state == EvaluationState::Running;
        match (open.iter().find(is_running), open.first()) {
            (Some(running), _) => self.follow(running).await,
            (None, Some(next)) => self.start(next).await,
            (None, None) => Ok(()),
        }
    }

    async fn start(&self, evaluation: &EvaluationRow) -> Result<(), Problem> {
        match self.order(&evaluation.model).await {
            Ok(order) => {
                self.children.reopen(&evaluation.model.0)?;
                self.dependencies.registry.start_evaluation(&evaluation.model).await?;
                self.children.start(&evaluation.model.0, &order)?;
                info!(model = %evaluation.model, "evaluation starts");
                Ok(())
            }
            Err(Problem::Hopeless(reason)) => self.fail(&evaluation.model, &reason).await,
            Err(error) => Err(error),
        }
    }

    async fn order(&self, model: &ModelId) -> Result<Order, Problem> {
        let registry = &self.dependencies.registry;
        let gone = || Problem::Hopeless(format!("there is no model {model}"));
        let row = registry.model(model).await?.ok_or_else(gone)?;
        let dataset = registry.dataset(&row.dataset.0).await?;
        let dataset =
            dataset.ok_or_else(|| Problem::Hopeless(format!("there is no dataset {}", row.dataset.short())))?;
        let test = self.dependencies.datasets.of(&dataset.manifest).await?;
        let in_production = registry.production(&row.author).await?.and_then(|deployment| deployment.model);
        let production = match in_production.filter(|production| production != model) {
            Some(production) => Some(self.version(&production).await?),
            None => None,
        };
        Ok(Order {
            model: model.clone(),
            dataset: DatasetId(row.dataset.0),
            test,
            artifacts: self.dependencies.artifacts_folder.clone(),
            models: self.dependencies.models_folder.clone(),
            candidate: self.version(model).await?,
            production,
            base: self.dependencies.base.clone(),
            options: self.options.measure.clone(),
        })
    }

    async fn version(&self, model: &ModelId) -> Result<Version, Problem> {
        let manifest = self.dependencies.registry.model_manifest(&self.dependencies.artifacts, model).await?;
        Ok(Version { name: model.0.clone(), files: manifest.merged })
    }

    async fn follow(&self, evaluation: &EvaluationRow) -> Result<(), Problem> {
        let model = &evaluation.model;
        match self.children.look::<Product, serde_json::Value>(&model.0)? {
            Look::Working(_) => Ok(()),
            Look::Ended(Ok(product)) => self.finish(model, &product).await,
            Look::Ended(Err(reason)) => self.fail(model, &reason).await,
            Look::Idle(_) if evaluation.attempts < self.options.attempts => {
                warn!(%model, "the evaluation's process is gone; it is started again");
                self.start(evaluation).await
            }
            Look::Idle(said) => {
                let last = said.lines().last().unwrap_or("nothing").to_owned();
                self.fail(model, &format!("its process was gone without an outcome; it said last: {last}")).await
            }
        }
    }

    async fn finish(&self, model: &ModelId, product: &Product) -> Result<(), Problem> {
        let registry = &self.dependencies.registry;
        registry.finish_evaluation(model, product.verdict, &product.report, &product.page, Utc::now()).await?;
        self.metrics.ended(product.verdict.as_str());
        info!(%model, verdict = product.verdict.as_str(), "evaluated");
        Ok(self.children.remove(&model.0)?)
    }

    async fn fail(&self, model: &ModelId, reason: &str) -> Result<(), Problem> {
        warn!(%model, reason, "the evaluation has failed");
        self.metrics.ended("error");
        Ok(self.dependencies.registry.fail_evaluation(model, reason, Utc::now()).await?)
    }
}
