//! Evaluations from the queue to the verdict: what the supervisor does not know of any kind of job.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::{info, warn};
use twin_artifacts::Artifacts;
use twin_backend::Error as BackendError;
use twin_coordination::Member;
use twin_jobs::{Ending, Job, Pauses, Queue, Resources, Runner, Stage, Supervisor};
use twin_registry::{EvaluationOutcome, EvaluationRow, EvaluationState, Interest, Registry, read_dataset_manifest};
use twin_schemas::{AuthorId, Category, DatasetManifest, DocumentId, ModelId};
use url::Url;

use crate::end_to_end::{Asked, Serving, ServingError, prepare};
use crate::metrics::Metrics;
use crate::order::{Compared, Evaluation, EvaluationOrder, EvaluationProduct, EvaluationReport, Version};
use crate::{Error, FoldsOrder, Options, TestSample, Unloadable, folds, work};

/// Other authors that an author is held against, at most.
const OTHER_AUTHORS: usize = 8;

/// Dataset versions that are looked through for other authors, newest first.
const OTHER_VERSIONS: u32 = 200;

/// How evaluations are run, and what follows from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceOptions {
    /// Who approves a model that has passed.
    pub approval: Approval,
    /// Evaluations that a process of the twin has under way at once. Each uses up to `evaluator.max_memory_mb`.
    pub jobs: usize,
    /// Resident memory of an evaluation, MB. One that needs more is killed.
    pub max_memory_mb: u64,
    /// Minutes of an evaluation's attempt. One that takes longer is killed.
    pub max_minutes: u64,
    /// Times that an evaluation is started before it counts as failed. One that waits for a store that is away is
    /// started again without being counted.
    pub attempts: u32,
    /// Base URL of an OpenAI-compatible endpoint whose model is shown pairs of answers and says which it prefers.
    /// Absent: nobody is asked.
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
            jobs: 1,
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

/// What evaluations work with.
pub struct Dependencies {
    /// Models and their evaluations.
    pub registry: Registry,
    /// Manifests, test samples, and the questions that are put from end to end.
    pub artifacts: Artifacts,
    /// Serving, without a model; none: no question is put from end to end, and no category is known.
    pub serving: Option<Arc<dyn Serving>>,
}

/// The supervisor of evaluations, which run where `runner` says.
pub fn supervisor(
    options: &ServiceOptions,
    dependencies: Dependencies,
    runner: Arc<dyn Runner<Evaluation>>,
    member: Member,
    metrics: Metrics,
) -> Supervisor<Evaluations> {
    let how = twin_jobs::Options {
        jobs: options.jobs,
        attempts: options.attempts,
        resources: Resources {
            memory_bytes: options.max_memory_mb << 20,
            seconds: options.max_minutes.saturating_mul(60),
        },
        pauses: Pauses::default(),
    };
    Supervisor::new(Evaluations { dependencies, measure: options.measure.clone(), metrics }, runner, member, how)
}

/// The evaluations of the registry.
pub struct Evaluations {
    dependencies: Dependencies,
    measure: Options,
    metrics: Metrics,
}

impl Evaluations {
    async fn order_of(&self, model: &ModelId) -> Result<EvaluationOrder, Error> {
        let Dependencies { registry, artifacts, serving } = &self.dependencies;
        let row = registry.model(model).await?;
        let row = row.ok_or_else(|| Error::Refused(format!("there is no model {model}")))?;
        let dataset = registry.dataset(&row.dataset.0).await?;
        let dataset = dataset.ok_or_else(|| Error::Refused(format!("there is no dataset {}", row.dataset.short())))?;
        let manifest = read_dataset_manifest(artifacts, &dataset.manifest).await?;
        let test = test_samples(&manifest)?;
        let changes = registry.evaluation(model).await?.map(|evaluation| evaluation.changes).unwrap_or_default();
        let options = self.measure.changed(&changes)?;
        let (against, look) = registry.comparison(model).await?;
        let before = against.model.as_ref().filter(|production| *production != model);
        let (production, unloadable) = match before {
            Some(production) => match self.version(production).await {
                Ok(version) => (Some(version), None),
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => (None, Some(Unloadable { version: production.0.clone(), cause: error.to_string() })),
            },
            None => (None, None),
        };
        let loadable = before.filter(|_| production.is_some());
        let folds = folds::ordered(registry, artifacts, model, &manifest, loadable).await?;
        let (asked, categories) = match serving {
            Some(serving) => self.served(serving.as_ref(), &row.author, &test, folds.as_ref(), &options).await?,
            None => (None, BTreeMap::new()),
        };
        Ok(EvaluationOrder {
            model: model.clone(),
            dataset: row.dataset,
            test,
            candidate: self.version(model).await?,
            production,
            unloadable,
            compared: Some(Compared { against, look }),
            others: self.others(&row.author).await?,
            asked,
            categories,
            folds,
            base: row.base,
            options,
        })
    }

    /// Questions of the samples that are measured, by folds or as the test split has them, as serving puts them; and what the
    /// samples' documents are. What can not be had is left out: the job's process says of samples that can not be read.
    async fn served(
        &self,
        serving: &dyn Serving,
        author: &AuthorId,
        test: &[String],
        folds: Option<&FoldsOrder>,
        options: &Options,
    ) -> Result<(Option<Asked>, BTreeMap<DocumentId, Category>), Error> {
        let samples = match self.measured_samples(test, folds).await {
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => return Ok((Some(Asked::Absent(error.to_string())), BTreeMap::new())),
            Ok(samples) => samples,
        };
        let asked = prepare(serving, &self.dependencies.artifacts, author, &samples, options).await?;
        let mut documents: BTreeSet<DocumentId> = samples.iter().map(|sample| sample.document_id).collect();
        documents.extend(folds.into_iter().flat_map(FoldsOrder::documents));
        let documents: Vec<DocumentId> = documents.into_iter().collect();
        let categories = match serving.categories(&documents).await {
            Ok(categories) => categories,
            Err(ServingError::Stopping) => return Err(Error::Stopping),
            Err(error) => {
                warn!(%author, %error, "what the author's documents are is not known to the evaluation");
                BTreeMap::new()
            }
        };
        Ok((Some(asked), categories))
    }

    /// What an evaluation is made on: the test samples, or those of all documents that folds measure.
    async fn measured_samples(
        &self,
        test: &[String],
        folds_order: Option<&FoldsOrder>,
    ) -> Result<Vec<TestSample>, Error> {
        let artifacts = &self.dependencies.artifacts;
        let tested = work::test_samples(artifacts, test).await?;
        match folds_order {
            Some(order) => Ok(folds::pooled(artifacts, order, tested).await?.1),
            None => Ok(tested),
        }
    }

    /// The test samples of the newest version of each other author, as far as there are any.
    async fn others(&self, author: &AuthorId) -> Result<Vec<Vec<String>>, Error> {
        let Dependencies { registry, artifacts, .. } = &self.dependencies;
        let mut seen = BTreeSet::from([author.clone()]);
        let mut others = Vec::new();
        for row in registry.newest_datasets(None, OTHER_VERSIONS).await? {
            if others.len() == OTHER_AUTHORS || !seen.insert(row.author) {
                continue;
            }
            match read_dataset_manifest(artifacts, &row.manifest).await.map_err(Error::from) {
                Ok(manifest) => others.extend(test_samples(&manifest).ok()),
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => warn!(%error, dataset = row.dataset.short(), "the version's author is no impostor"),
            }
        }
        Ok(others)
    }

    async fn version(&self, model: &ModelId) -> Result<Version, Error> {
        let manifest = self.dependencies.registry.model_manifest(&self.dependencies.artifacts, model).await?;
        Ok(Version { name: model.0.clone(), files: manifest.require_merged(model)?.to_vec() })
    }
}

/// The artifacts whose contents, one after the other, are the test samples of a version.
fn test_samples(manifest: &DatasetManifest) -> Result<Vec<String>, Error> {
    let test = manifest.parts("eval/test.jsonl");
    if test.is_empty() {
        let short = manifest.dataset.short();
        return Err(Error::Refused(format!(
            "the dataset {short} has no test samples: there are too few documents to set some aside"
        )));
    }
    Ok(test.to_vec())
}

#[async_trait]
impl Queue for Evaluations {
    type Kind = Evaluation;
    type Row = EvaluationRow;

    const NAME: &'static str = "evaluate";

    fn changes(&self) -> watch::Receiver<()> {
        self.dependencies.registry.changes(Interest::Evaluations)
    }

    async fn open(&self) -> Result<Vec<Job<EvaluationRow>>, BackendError> {
        let rows = self.dependencies.registry.open_evaluations().await.map_err(Error::from)?;
        Ok(rows.into_iter().map(job_of).collect())
    }

    async fn order(&self, job: &Job<EvaluationRow>) -> Result<EvaluationOrder, BackendError> {
        Ok(self.order_of(&job.row.model).await?)
    }

    async fn start(&self, job: &Job<EvaluationRow>) -> Result<Option<u32>, BackendError> {
        let started = self.dependencies.registry.start_evaluation(&job.row.model, Utc::now()).await;
        Ok(started.map_err(Error::from)?)
    }

    /// How far an evaluation is stays with whoever runs it.
    async fn report(
        &self,
        _: &Job<EvaluationRow>,
        _: &EvaluationReport,
        _: Option<&EvaluationReport>,
    ) -> Result<(), BackendError> {
        Ok(())
    }

    async fn requeue(&self, job: &Job<EvaluationRow>, reason: &str) -> Result<(), BackendError> {
        let (registry, model) = (&self.dependencies.registry, &job.row.model);
        Ok(registry.requeue_evaluation(model, job.attempts, reason, Utc::now()).await.map_err(Error::from)?)
    }

    async fn collect(&self, job: &Job<EvaluationRow>, product: EvaluationProduct) -> Result<(), BackendError> {
        let (registry, model) = (&self.dependencies.registry, &job.row.model);
        let EvaluationProduct { verdict, grounded, report, page, compared } = product;
        let noted = job.row.against.clone().map(|against| Compared { against, look: job.row.look });
        if compared.is_some() && noted.is_some() && compared != noted {
            // Between the order and the start another deployment came into force, or another evaluation began.
            let reason = "what answers has changed while it was begun; it is compared again";
            return self.requeue(job, reason).await;
        }
        let outcome = EvaluationOutcome { verdict, grounded, report, page };
        registry.finish_evaluation(model, job.attempts, outcome, Utc::now()).await.map_err(Error::from)?;
        self.metrics.ended(verdict.as_str());
        info!(%model, verdict = verdict.as_str(), grounded, "evaluated");
        Ok(())
    }

    async fn end(&self, job: &Job<EvaluationRow>, attempt: u32, ending: Ending) -> Result<(), BackendError> {
        let (registry, model) = (&self.dependencies.registry, &job.row.model);
        let (Ending::Failed(reason) | Ending::Cancelled(reason)) = ending;
        registry.fail_evaluation(model, attempt, &reason, Utc::now()).await.map_err(Error::from)?;
        warn!(%model, reason, "the evaluation has failed");
        self.metrics.ended("error");
        Ok(())
    }
}

fn job_of(row: EvaluationRow) -> Job<EvaluationRow> {
    Job {
        name: row.model.0.clone(),
        stage: if row.state == EvaluationState::Running { Stage::Running } else { Stage::Queued },
        attempts: row.attempts,
        // Nobody can ask for that.
        stop: None,
        row,
    }
}
