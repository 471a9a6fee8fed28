//! Which model the rejected answers of preferences are by: what answers for the author, so that what is learned is what it
//! lacks.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use tokio::sync::Mutex;
use twin_datasets::{Answers, Asked, Opener, Respondents};
use twin_inference::{LlmOptions, Loader, VersionLoader};
use twin_llm::ChatModel;
use twin_registry::{DeploymentState, ModelRow, Registry};
use twin_schemas::{AuthorId, ModelId};

use super::models;

/// The author's version that serves, else the model that the twin starts from.
pub(super) struct Serving {
    /// Knows which version serves.
    pub(super) registry: Registry,
    /// Brings versions into memory.
    pub(super) loader: Arc<VersionLoader>,
    /// Who answers where no version does; made anew for each that asks, and gone with them.
    pub(super) base: Box<dyn Fn() -> Arc<dyn Answers> + Send + Sync>,
}

#[async_trait]
impl Respondents for Serving {
    async fn respondent(&self, author: &AuthorId) -> Result<Arc<dyn Answers>, twin_datasets::Error> {
        let Some(version) = serving(&self.registry, author).await? else { return Ok((self.base)()) };
        let opener = Version { model: version.model.clone(), loader: self.loader.clone() };
        // By its manifest, which names all of its files by their content.
        Ok(Arc::new(Asked::opened_when_asked(&version.model.0, version.manifest, opener)))
    }
}

/// The author's version that serves. One whose deployment was only asked for, or has failed, does not: the one before
/// goes on.
async fn serving(registry: &Registry, author: &AuthorId) -> Result<Option<ModelRow>, twin_registry::Error> {
    let deployments = registry.deployments(author).await?;
    let newest = deployments.into_iter().find(|deployment| deployment.state == DeploymentState::Serving);
    match newest.and_then(|deployment| deployment.model) {
        Some(model) => registry.model(&model).await,
        None => Ok(None),
    }
}

/// A version, loaded for as long as it is asked: beside the one that answers questions, which may be in another process.
struct Version {
    model: ModelId,
    loader: Arc<VersionLoader>,
}

#[async_trait]
impl Opener for Version {
    async fn open(&self) -> Result<Arc<dyn ChatModel>, String> {
        self.loader.load(&self.model).await.map_err(|error| error.to_string())
    }
}

/// The model that the twin starts from, loaded when it is asked, once for all that ask it at a time: a dataset is made now and
/// then, and the model that answers questions may be another.
#[derive(Clone)]
pub(super) struct Starting {
    options: LlmOptions,
    loaded: Arc<Mutex<Option<Weak<dyn ChatModel>>>>,
}

impl Starting {
    /// Not loaded yet.
    pub(super) fn new(options: LlmOptions) -> Self {
        Self { options, loaded: Arc::default() }
    }
}

#[async_trait]
impl Opener for Starting {
    async fn open(&self) -> Result<Arc<dyn ChatModel>, String> {
        let mut loaded = self.loaded.lock().await;
        if let Some(model) = loaded.as_ref().and_then(Weak::upgrade) {
            return Ok(model);
        }
        let model = models::chat_model(&self.options).await.map_err(|error| error.to_string())?;
        *loaded = Some(Arc::downgrade(&model));
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use chrono::{DateTime, Utc};
    use twin_artifacts::Artifacts;
    use twin_datasets::PortError;
    use twin_registry::rules::WorkerReport;
    use twin_registry::{By, EvaluationOutcome, JobOutcome, NewDataset, NewJob, NewModel};
    use twin_schemas::{ChatMessage, DatasetId, JobId, Verdict};
    use twin_sqlite::Database;

    use super::*;

    /// What the twin starts from.
    struct Base;

    #[async_trait]
    impl Answers for Base {
        fn name(&self) -> &str {
            "base"
        }

        fn identity(&self) -> String {
            "base".to_owned()
        }

        async fn answer(&self, _: &[ChatMessage]) -> Result<String, PortError> {
            Ok("As a language model I have no opinion.".to_owned())
        }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn ada() -> AuthorId {
        "ada".parse().unwrap()
    }

    /// Ada's first model, approved and thereby about to be deployed.
    async fn approved(registry: &Registry) {
        let (dataset, job) = (DatasetId("d".repeat(64)), JobId("1".repeat(64)));
        let new = NewDataset {
            prompts: None,
            dataset: dataset.clone(),
            author: ada(),
            manifest: "sha256:d".into(),
            training_samples: 9,
            counts: BTreeMap::new(),
            reason: "requested".into(),
            members: Vec::new(),
        };
        registry.add_dataset(new, now()).await.unwrap();
        let (base, recipe, code_version) = ("base".into(), "{}".into(), "1".into());
        let new = NewJob { job: job.clone(), author: ada(), dataset, base, recipe, sweep: None, code_version };
        registry.queue_job(new, now()).await.unwrap();
        registry.start_job(&job, now()).await.unwrap();
        let made = JobOutcome::Succeeded(Some(NewModel { manifest: "sha256:m".into() }));
        let model = registry.finish_job(&job, 1, made, now()).await.unwrap().unwrap();
        registry.queue_evaluation(&model, now()).await.unwrap();
        let passed =
            EvaluationOutcome { verdict: Verdict::Passed, grounded: false, report: "r".into(), page: "p".into() };
        registry.finish_evaluation(&model, 0, passed, now()).await.unwrap();
        registry.approve(&model, By::new("grace", "", now())).await.unwrap();
    }

    async fn taken_up(registry: &Registry, number: u64) {
        let worker = "worker".to_owned();
        let report = WorkerReport { number, alive: BTreeSet::from([worker.clone()]), worker, outcome: Ok(()) };
        registry.report_deployment(&ada(), report, now()).await.unwrap();
    }

    #[tokio::test]
    async fn the_model_that_the_twin_starts_from_is_there_for_as_long_as_it_is_asked() {
        let endpoint = Some("http://127.0.0.1:9/v1".parse().unwrap());
        let starting = Starting::new(LlmOptions { endpoint, ..LlmOptions::default() });
        let is_loaded = async || starting.loaded.lock().await.as_ref().is_some_and(|model| model.strong_count() > 0);
        assert!(!is_loaded().await, "nobody has asked yet");
        let (one, other) = (starting.open().await.unwrap(), starting.clone().open().await.unwrap());
        assert!(Arc::ptr_eq(&one, &other), "once for both");
        drop((one, other));
        assert!(!is_loaded().await);
        starting.open().await.unwrap();

        let gone = LlmOptions { model: "/nowhere/model.gguf".into(), ..LlmOptions::default() };
        let asked = Asked::opened_when_asked("model", "sha256:m", Starting::new(gone));
        let problem = Answers::answer(&asked, &[]).await.unwrap_err();
        assert!(matches!(problem, PortError::Unopened(_)), "{problem}");
    }

    #[tokio::test]
    async fn who_is_asked_is_the_version_that_serves_and_before_and_after_it_the_base_model() {
        let folder = tempfile::tempdir().unwrap();
        let registry = twin_sqlite::registry(Database::open(&folder.path().join("twin.db")).unwrap()).await.unwrap();
        let loader = VersionLoader {
            registry: registry.clone(),
            artifacts: Artifacts::in_folder(&folder.path().join("artifacts")).unwrap(),
            folder: folder.path().join("models"),
            engine: models::engine(&LlmOptions::default()),
        };
        let base = Box::new(|| -> Arc<dyn Answers> { Arc::new(Base) });
        let serving = Serving { registry: registry.clone(), loader: Arc::new(loader), base };
        let asked = async || serving.respondent(&ada()).await.unwrap();
        assert_eq!(asked().await.name(), "base");
        approved(&registry).await;
        assert_eq!(asked().await.name(), "base", "it is not taken up yet");
        taken_up(&registry, 1).await;
        let version = asked().await;
        assert_eq!(version.name(), "ada-v1");
        assert!(version.identity().contains("sha256:m"), "{}", version.identity());
        let problem = version.answer(&[]).await.unwrap_err();
        assert!(matches!(problem, PortError::Unopened(_)), "there are no files: {problem}");
        registry.roll_back(&ada(), By::new("grace", "", now())).await.unwrap();
        assert_eq!(asked().await.name(), "ada-v1", "it goes on until the other serves");
        taken_up(&registry, 2).await;
        assert_eq!(asked().await.name(), "base");
    }
}
