//! Keeps the models in memory in step with the deployments in force.
//!
//! A new version is loaded beside the old one, warmed up and tried; then it takes over for all answers that begin from
//! there on, and the old one goes with its last answer. A version that does not load or says nothing leaves the old one
//! in place, and its deployment failed.
//!
//! A version that served before this process was started is loaded while there is room in memory, and else when it is asked.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::Utc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};
use twin_artifacts::Artifacts;
use twin_llm::{ChatModel, ChatRequest, Engine, voice_prompt, whole};
use twin_registry::rules::WorkerReport;
use twin_registry::{DeploymentRow, DeploymentState, Interest, Registry};
use twin_schemas::{AuthorId, ModelId, Topic};
use twin_stream::{EventLog, StartAt, TopicPartition};
use twin_telemetry::ShutdownSignal;

use crate::metrics::SwitchMetrics;
use crate::models::{Models, Version};
use crate::workers::{POLL, Workers};

/// Before a version is tried again that served and does not load any more, for example after a restart. A try reads all
/// of its files.
pub(crate) const RETRY: Duration = Duration::from_secs(300);
/// How long the smoke test may take.
const SMOKE_TEST: Duration = Duration::from_secs(120);
/// Tokens of the smoke test.
const SMOKE_TOKENS: u32 = 8;

/// Brings a model version into memory.
#[async_trait]
pub trait Loader: Send + Sync {
    /// The version, ready to be asked; or why that can not be.
    async fn load(&self, model: &ModelId) -> Result<Arc<dyn ChatModel>, LoadError>;
}

/// Why a version does not serve.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// What says which files it has, or they.
    #[error(transparent)]
    Registry(#[from] twin_registry::Error),
    /// Its files.
    #[error(transparent)]
    Artifact(#[from] twin_artifacts::Error),
    /// The model.
    #[error(transparent)]
    Model(#[from] twin_llm::Error),
    /// It loads, and does not answer as a model should.
    #[error("{0}")]
    Unfit(String),
}

impl LoadError {
    /// Whether the same version may serve later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_transient(),
            Self::Artifact(error) => error.is_transient(),
            Self::Model(_) | Self::Unfit(_) => false,
        }
    }
}

/// Loads versions from the artifact store.
pub struct VersionLoader {
    /// Names their files.
    pub registry: Registry,
    /// Holds their files.
    pub artifacts: Artifacts,
    /// Where their directories are made.
    pub folder: PathBuf,
    /// Runs them.
    pub engine: Arc<dyn Engine>,
}

#[async_trait]
impl Loader for VersionLoader {
    async fn load(&self, model: &ModelId) -> Result<Arc<dyn ChatModel>, LoadError> {
        Ok(self.engine.open(&self.directory(model).await?, &model.0).await?)
    }
}

impl VersionLoader {
    /// The version's files as a directory that model engines read.
    pub async fn directory(&self, model: &ModelId) -> Result<PathBuf, LoadError> {
        let manifest = self.registry.model_manifest(&self.artifacts, model).await?;
        let directory = self.folder.join(&model.0);
        self.artifacts.fetch_folder(manifest.require_merged(model)?, &directory).await?;
        Ok(directory)
    }
}

/// Watches deployments and switches models.
pub struct Switcher {
    registry: Registry,
    log: Arc<dyn EventLog>,
    loader: Arc<dyn Loader>,
    models: Arc<Models>,
    workers: Workers,
    metrics: SwitchMetrics,
    /// Versions that did not load, by author and number of the deployment.
    failed: Mutex<HashMap<(AuthorId, u64), Failure>>,
}

/// A version that did not load.
#[derive(Clone)]
struct Failure {
    first: Instant,
    last: Instant,
    problem: String,
}

impl Switcher {
    /// A switcher of `models`, not running yet.
    pub fn new(
        registry: Registry,
        log: Arc<dyn EventLog>,
        loader: impl Loader + 'static,
        models: Arc<Models>,
        workers: Workers,
        metrics: SwitchMetrics,
    ) -> Self {
        Self { registry, log, loader: Arc::new(loader), models, workers, metrics, failed: Mutex::default() }
    }

    /// Switches until the shutdown begins. Every process follows every deployment, so the events are read without a
    /// group; they only say that there is something to look at, which the registry then tells.
    pub async fn run(self, shutdown: ShutdownSignal) {
        let mut changes = self.registry.changes(Interest::Deployments);
        let (announced, mut announcements) = watch::channel(());
        let tails = self.tails(announced).await;
        while !shutdown.has_begun() {
            self.catch_up().await;
            tokio::select! {
                () = shutdown.begun() => {}
                _ = changes.changed() => {}
                _ = announcements.changed() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        drop(tails);
    }

    /// Takes up every deployment that is in force and not in memory.
    pub async fn catch_up(&self) {
        let productions = match self.registry.productions().await {
            Ok(productions) => productions,
            Err(error) => return warn!(%error, "deployments can not be read, trying again"),
        };
        let is_open = |deployment: &DeploymentRow| deployment.state == DeploymentState::Requested;
        if let Err(error) = self.workers.be_seen(productions.iter().any(is_open)).await {
            return warn!(%error, "the other workers can not be seen, trying again");
        }
        for deployment in productions {
            let is_missing = self.models.version_of(&deployment.author) != deployment.model;
            match self.failed_lately(&deployment) {
                Some(failure) if is_open(&deployment) => self.report(&deployment, Err(failure)).await,
                None if is_open(&deployment) || is_missing => self.take_up(&deployment).await,
                _ => {}
            }
        }
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, HashMap<(AuthorId, u64), Failure>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed_lately(&self, deployment: &DeploymentRow) -> Option<Failure> {
        let failure = self.failures().get(&(deployment.author.clone(), deployment.number)).cloned();
        failure.filter(|failure| failure.last.elapsed() < RETRY)
    }

    async fn take_up(&self, deployment: &DeploymentRow) {
        let (author, number) = (&deployment.author, deployment.number);
        let began = Instant::now();
        let outcome = match self.switch(deployment).await {
            Err(error) if error.is_transient() => {
                return warn!(%author, deployment = number, %error, "the version can not be loaded now, trying again");
            }
            Ok(()) => {
                let version = deployment.model.as_ref().map_or("the base model", |model| model.0.as_str());
                info!(%author, version, seconds = began.elapsed().as_secs_f64(), "deployed");
                self.metrics.switched("serving");
                self.failures().remove(&(author.clone(), number));
                Ok(())
            }
            Err(error) => {
                warn!(%author, deployment = number, %error, "the version does not serve; the one before goes on");
                self.metrics.switched("failed");
                let (now, problem) = (Instant::now(), error.to_string());
                let mut failures = self.failures();
                let new = Failure { first: now, last: now, problem: problem.clone() };
                let failure = failures.entry((author.clone(), number)).or_insert(new);
                (failure.last, failure.problem) = (now, problem);
                Err(failure.clone())
            }
        };
        self.report(deployment, outcome).await;
    }

    /// Notes what became of the deployment here. That it has failed is said again until all have said so: who was alive
    /// and said nothing may have died since.
    async fn report(&self, deployment: &DeploymentRow, outcome: Result<(), Failure>) {
        let (author, number) = (&deployment.author, deployment.number);
        let reported = async {
            let Some(alive) = self.workers.alive(outcome.as_ref().err().map(|failure| failure.first)).await? else {
                return Ok(());
            };
            let outcome = outcome.map_err(|failure| failure.problem);
            let report = WorkerReport { number, worker: self.workers.name(), outcome, alive };
            self.registry.report_deployment(author, report, Utc::now()).await
        };
        if let Err(error) = reported.await {
            warn!(%author, %error, "the deployment's outcome could not be noted, trying again");
        }
    }

    async fn switch(&self, deployment: &DeploymentRow) -> Result<(), LoadError> {
        let author = &deployment.author;
        if self.models.version_of(author) == deployment.model {
            return Ok(());
        }
        let version = match &deployment.model {
            None => None,
            Some(id) => {
                let is_new = deployment.state == DeploymentState::Requested;
                let model = if is_new || self.models.has_room() { Some(self.loaded(author, id).await?) } else { None };
                let evaluation = self.registry.evaluation(id).await?;
                let grounded = evaluation.is_some_and(|evaluation| evaluation.grounded);
                Some(Version { id: id.clone(), grounded, model, loader: self.loader.clone(), used: 0, failed: None })
            }
        };
        self.models.switch(author, version);
        Ok(())
    }

    /// A version in memory that has shown that it answers.
    async fn loaded(&self, author: &AuthorId, id: &ModelId) -> Result<Arc<dyn ChatModel>, LoadError> {
        let _alone = self.models.alone().await;
        self.models.make_room_for(author);
        let model = self.loader.load(id).await?;
        smoke_test(author, model.as_ref()).await?;
        Ok(model)
    }

    /// Readers of the models topic, one for each partition, that announce what comes.
    async fn tails(&self, announced: watch::Sender<()>) -> JoinSet<()> {
        let mut tails = JoinSet::new();
        let topic = Topic::Models.name();
        let partitions = match self.log.watermarks(topic).await {
            Ok(ends) => ends.into_keys().collect(),
            Err(error) => {
                warn!(%error, "the models topic can not be read; deployments are looked for every {POLL:?}");
                Vec::new()
            }
        };
        for partition in partitions {
            let partition = TopicPartition { topic: topic.into(), partition };
            tails.spawn(announce(self.log.clone(), partition, announced.clone()));
        }
        tails
    }
}

/// Says whenever a partition has something new, until it is dropped.
async fn announce(log: Arc<dyn EventLog>, partition: TopicPartition, announced: watch::Sender<()>) {
    loop {
        match log.tail(&partition, StartAt::End).await {
            Ok(mut tail) => {
                while tail.next().await.is_ok() {
                    let _ = announced.send(());
                }
            }
            Err(error) => debug!(%partition, %error, "reading deployments failed, trying again"),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Asks the new version for a few words, which also warms it up.
async fn smoke_test(author: &AuthorId, model: &dyn ChatModel) -> Result<(), LoadError> {
    let introduction = voice_prompt(author, "Introduce yourself in one sentence.");
    let request = ChatRequest::greedy(introduction, SMOKE_TOKENS);
    let ask = async { whole(model.chat(request).await?).await };
    let reply = tokio::time::timeout(SMOKE_TEST, ask)
        .await
        .map_err(|_| LoadError::Unfit(format!("the smoke test did not end within {} s", SMOKE_TEST.as_secs())))??;
    if reply.text.trim().is_empty() {
        Err(LoadError::Unfit("the model says nothing when asked to introduce itself".to_owned()))
    } else {
        Ok(())
    }
}
