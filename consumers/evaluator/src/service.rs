//! Follows evaluations from the queue to the verdict.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use twin_artifacts::Artifacts;
use twin_coordination::{Held, Member};
use twin_jobs::{Children, Limits, Look};
use twin_registry::{EvaluationRow, EvaluationState, Interest, Registry};
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
    Lease(#[from] twin_backend::Error),
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
    /// This process among those that evaluate.
    pub member: Member,
}

/// Runs one evaluation after the other, each in a child process. Of several services one follows an evaluation, the one
/// that holds its lease.
pub struct Service {
    options: ServiceOptions,
    dependencies: Dependencies,
    children: Children,
    following: HashMap<ModelId, Held>,
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
        let children = Children::new(program, arguments, folder, limits);
        Self { options, dependencies, children, following: HashMap::new(), metrics }
    }

    /// Follows evaluations until the shutdown begins. One that is under way goes on after that, and is found again.
    pub async fn run(mut self, shutdown: ShutdownSignal) {
        let mut changes = self.dependencies.registry.changes(Interest::Evaluations);
        while !shutdown.has_begun() {
            if let Err(error) = self.look().await {
                warn!(%error, "evaluations could not be looked after, trying again");
            }
            tokio::select! {
                () = shutdown.begun() => {}
                () = tokio::time::sleep(LOOK) => {}
                _ = changes.changed() => {}
            }
        }
    }

    async fn look(&mut self) -> Result<(), Problem> {
        let open = self.dependencies.registry.open_evaluations().await?;
        self.leave_all_but(&open).await;
        let (running, queued): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|evaluation| evaluation.state == EvaluationState::Running);
        for evaluation in &running {
            if self.holds(&evaluation.model).await? {
                self.follow(evaluation).await?;
            }
        }
        if self.following.is_empty() {
            for next in &queued {
                if self.holds(&next.model).await? {
                    return self.start(next).await;
                }
            }
        }
        Ok(())
    }

    /// Lets go of evaluations that have ended.
    async fn leave_all_but(&mut self, open: &[EvaluationRow]) {
        let is_over = |model: &ModelId| !open.iter().any(|evaluation| evaluation.model == *model);
        for (model, lease) in self.following.extract_if(|model, _| is_over(model)).collect::<Vec<_>>() {
            if let Err(error) = lease.release().await {
                warn!(%error, %model, "the evaluation's lease was not released; it runs out");
            }
        }
    }

    /// Whether this process is the one that follows the evaluation.
    async fn holds(&mut self, model: &ModelId) -> Result<bool, Problem> {
        if self.following.get(model).is_some_and(Held::is_held) {
            return Ok(true);
        }
        self.following.remove(model);
        let Some(lease) = self.dependencies.member.hold(&format!("evaluate/{model}")).await? else { return Ok(false) };
        self.following.insert(model.clone(), lease);
        Ok(true)
    }

    async fn start(&self, evaluation: &EvaluationRow) -> Result<(), Problem> {
        match self.order(&evaluation.model).await {
            Ok(order) => {
                self.children.reopen(&evaluation.model.0)?;
                let started = self.dependencies.registry.start_evaluation(&evaluation.model, Utc::now()).await?;
                if started.is_some() {
                    self.children.start(&evaluation.model.0, &order)?;
                    info!(model = %evaluation.model, "evaluation starts");
                }
                Ok(())
            }
            Err(Problem::Hopeless(reason)) => self.fail(evaluation, &reason).await,
            Err(Problem::Registry(error)) if !error.is_transient() => self.fail(evaluation, &error.to_string()).await,
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
            Look::Ended(Ok(product)) => self.finish(evaluation, &product).await,
            Look::Ended(Err(reason)) => self.fail(evaluation, &reason).await,
            Look::Idle(_) if evaluation.attempts < self.options.attempts => {
                warn!(%model, "the evaluation's process is gone; it is started again");
                self.start(evaluation).await
            }
            Look::Idle(said) => {
                let last = said.lines().last().unwrap_or("nothing").to_owned();
                self.fail(evaluation, &format!("its process was gone without an outcome; it said last: {last}")).await
            }
        }
    }

    async fn finish(&self, evaluation: &EvaluationRow, product: &Product) -> Result<(), Problem> {
        let (model, attempt) = (&evaluation.model, evaluation.attempts);
        let registry = &self.dependencies.registry;
        let (report, page) = (&product.report, &product.page);
        registry.finish_evaluation(model, attempt, product.verdict, report, page, Utc::now()).await?;
        self.metrics.ended(product.verdict.as_str());
        info!(%model, verdict = product.verdict.as_str(), "evaluated");
        Ok(self.children.remove(&model.0)?)
    }

    async fn fail(&self, evaluation: &EvaluationRow, reason: &str) -> Result<(), Problem> {
        let (model, attempt) = (&evaluation.model, evaluation.attempts);
        warn!(%model, reason, "the evaluation has failed");
        self.metrics.ended("error");
        Ok(self.dependencies.registry.fail_evaluation(model, attempt, reason, Utc::now()).await?)
    }
}
