//! `twin run`: opens the stores, starts the services that were asked for, and stops them in order.

mod adapters;
mod learning;
mod services;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::ValueEnum;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{error, info, warn};
use twin_artifacts::Artifacts;
use twin_coordination::sqlite::SqliteLeases;
use twin_coordination::{Member, Owner};
use twin_models::Tokenizer;
use twin_schemas::Topic;
use twin_sqlite::Database;
use twin_stream::kafka::KafkaLog;
use twin_stream::sqlite::SqliteLog;
use twin_stream::{ClaimCheck, EventLog, StageMetrics, TopicSpec};
use twin_telemetry::{Health, Registry, Shutdown, ShutdownSignal};
use twin_warehouse::Warehouse;
use twin_warehouse::sqlite::SqliteWarehouse;

use crate::config::{Config, LogKind};
use crate::folder::{DataFolder, NodeName};

/// Between two rounds of retention and compaction of the embedded log.
const MAINTENANCE: Duration = Duration::from_secs(60);

/// What a process can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Service {
    /// Collects sources and publishes what has changed.
    Crawler,
    /// Cleans documents.
    Cleaner,
    /// Cuts documents into chunks.
    Chunker,
    /// Embeds chunks into the index.
    Embedder,
    /// Makes versioned datasets of cleaned documents.
    Datasets,
    /// Trains models on datasets.
    Trainer,
    /// Compares trained models with the one in production.
    Evaluator,
    /// Answers queries.
    Inference,
    /// Serves the REST API.
    Gateway,
}

impl Service {
    const ALL: [Self; 9] = [
        Self::Crawler,
        Self::Cleaner,
        Self::Chunker,
        Self::Embedder,
        Self::Datasets,
        Self::Trainer,
        Self::Evaluator,
        Self::Inference,
        Self::Gateway,
    ];

    /// The parts of readiness that it will report.
    fn parts(self) -> &'static [&'static str] {
        match self {
            // A source that fails does not make the process unfit; its last sync says so.
            Self::Crawler => &[],
            Self::Cleaner => &["cleaner"],
            Self::Chunker => &["chunker"],
            Self::Embedder => &["embedder"],
            Self::Datasets => &["datasets"],
            Self::Trainer => &["trainer"],
            Self::Evaluator => &["evaluator"],
            Self::Inference => &["llm", "inference"],
            Self::Gateway => &["gateway"],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Crawler => "crawler",
            Self::Cleaner => "cleaner",
            Self::Chunker => "chunker",
            Self::Embedder => "embedder",
            Self::Datasets => "datasets",
            Self::Trainer => "trainer",
            Self::Evaluator => "evaluator",
            Self::Inference => "inference",
            Self::Gateway => "gateway",
        }
    }
}

/// Folders within the data folder.
struct Folders {
    /// The artifact store.
    artifacts: PathBuf,
    /// Model versions as directories.
    models: PathBuf,
    /// Training jobs.
    training: PathBuf,
    /// Evaluations.
    evaluation: PathBuf,
}

impl Folders {
    fn of(folder: &DataFolder) -> Self {
        let jobs = folder.jobs();
        Self {
            artifacts: folder.artifacts(),
            models: folder.models(),
            training: jobs.join("train"),
            evaluation: jobs.join("evaluate"),
        }
    }
}

/// What every service of the process works with.
struct Node {
    config: Config,
    /// The file that the configuration was read from, if it was named on the command line.
    config_file: Option<PathBuf>,
    database: Database,
    log: Arc<dyn EventLog>,
    warehouse: Arc<dyn Warehouse>,
    /// This process among those that share the work.
    member: Member,
    learning: twin_registry::Registry,
    artifacts: Artifacts,
    folders: Folders,
    registry: Registry,
    health: Health,
    stage_metrics: StageMetrics,
}

/// Runs the services (all of them if none is named) until a signal, and returns when everything is drained.
/// Child processes read the configuration from `file` too, if one was named.
pub async fn run(config: Config, file: Option<PathBuf>, services: &[Service]) -> Result<()> {
    let shutdown = Shutdown::new();
    tokio::pin! { let signal = shutdown.begin_on_signal(); }
    let by_name = !services.is_empty();
    let services = if services.is_empty() { Service::ALL.to_vec() } else { services.to_vec() };
    let log_kind = config.log_kind().map_err(|problem| anyhow!("log.url: {problem}"))?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("{} can not be listened on: choose another with --listen", config.listen))?;
    let address = listener.local_addr()?;
    let folder = DataFolder::open(&config.data, log_kind != LogKind::Sqlite)?;
    let name = NodeName::take(&folder)?;
    let mut tasks = JoinSet::new();
    let start = async {
        let node = open(config, file, &folder, &name, log_kind, &mut tasks, &shutdown.signal()).await?;
        services::start(node, &services, by_name, listener, &mut tasks, &shutdown.signal()).await
    };
    let running = tokio::select! {
        // Signals first: one that comes while a model is loaded stops the process in good order too.
        biased;
        received = &mut signal => received.context("signals can not be received").map(|()| false)?,
        started = start => started.map(|()| true)?,
    };
    if running {
        let names = services.iter().map(|service| service.name()).collect::<Vec<_>>().join(",");
        info!(%address, services = names, "twin is running");
    }
    let result = supervise(&mut tasks, &shutdown, signal, running).await;
    info!("stopped");
    result
}

/// Waits for a signal, unless it has come, or for a service that fails, then for all to end.
async fn supervise(
    tasks: &mut JoinSet<Result<()>>,
    shutdown: &Shutdown,
    mut signal: Pin<&mut impl Future<Output = std::io::Result<()>>>,
    mut waiting_for_signal: bool,
) -> Result<()> {
    let mut first_error = None;
    loop {
        tokio::select! {
            received = &mut signal, if waiting_for_signal => {
                waiting_for_signal = false;
                received.context("signals can not be received")?;
                info!("stopping: draining what is under way; a second signal ends at once");
            }
            ended = tasks.join_next() => match ended {
                None => return first_error.map_or(Ok(()), Err),
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(problem))) => {
                    error!("{problem:#}");
                    first_error.get_or_insert(problem);
                    shutdown.begin();
                }
                Some(Err(panic)) => {
                    error!(%panic, "a service panicked");
                    first_error.get_or_insert(anyhow!("a service panicked: {panic}"));
                    shutdown.begin();
                }
            },
        }
    }
}

async fn open(
    config: Config,
    config_file: Option<PathBuf>,
    folder: &DataFolder,
    name: &NodeName,
    log_kind: LogKind,
    tasks: &mut JoinSet<Result<()>>,
    shutdown: &ShutdownSignal,
) -> Result<Node> {
    let path = folder.database();
    let database = Database::open(&path).with_context(|| path.display().to_string())?;
    tasks.spawn(check(database.clone(), shutdown.clone()));
    let artifacts = Artifacts::in_folder(&folder.artifacts())?;
    folder.note_log(log_kind.name())?;
    let (log, embedded) = open_log(&config, log_kind, &database).await?;
    if let Some(embedded) = embedded {
        tasks.spawn(maintain(embedded, shutdown.clone()));
    }
    log.ensure_topics(&TopicSpec::all(config.log.partitions)).await?;
    let leases = Arc::new(SqliteLeases::open(database.clone()).await?);
    let registry = Registry::new();
    Ok(Node {
        log: Arc::new(ClaimCheck::new(log, artifacts.clone())),
        learning: twin_registry::Registry::in_database(database.clone()).await?,
        artifacts,
        folders: Folders::of(folder),
        warehouse: Arc::new(SqliteWarehouse::open(database.clone()).await?),
        member: Member::new(leases, Owner::new(name.as_str()), &config.coordination),
        stage_metrics: StageMetrics::new(&registry)?,
        health: Health::default(),
        registry,
        database,
        config,
        config_file,
    })
}

/// The log as it is: values that travel by reference are references. With the embedded one's handle, if it is that.
pub async fn open_log(
    config: &Config,
    kind: LogKind,
    database: &Database,
) -> Result<(Arc<dyn EventLog>, Option<SqliteLog>)> {
    match kind {
        LogKind::Sqlite => {
            let log = SqliteLog::open(database.clone(), config.log.max_value_bytes).await?;
            let shared: Arc<dyn EventLog> = Arc::new(log.clone());
            Ok((shared, Some(log)))
        }
        LogKind::Kafka(options) => {
            let brokers = options.brokers.clone();
            let log = KafkaLog::connect(options).await;
            let log: Arc<dyn EventLog> =
                Arc::new(log.with_context(|| format!("the Kafka cluster at {brokers} can not be used"))?);
            Ok((log, None))
        }
    }
}

/// A damaged file is found within seconds of the start, not when somebody asks for what was on the damaged page.
async fn check(database: Database, shutdown: ShutdownSignal) -> Result<()> {
    tokio::select! {
        checked = database.check() => checked.with_context(|| database.path().display().to_string()),
        () = shutdown.begun() => Ok(()),
    }
}

async fn maintain(log: SqliteLog, shutdown: ShutdownSignal) -> Result<()> {
    loop {
        tokio::select! {
            () = shutdown.begun() => return Ok(()),
            () = tokio::time::sleep(MAINTENANCE) => {}
        }
        match log.maintain().await {
            Ok(0) => {}
            Ok(deleted) => info!(deleted, "log records past their retention or superseded are gone"),
            Err(error) => warn!(%error, "retention and compaction failed, trying again in a minute"),
        }
    }
}

impl Node {
    fn tokenizer(&self) -> Result<Tokenizer> {
        let path = self.config.embedder.model_dir.join("tokenizer.json");
        Ok(Tokenizer::from_file(&path)?)
    }

    /// Stages, as readers of topics.
    fn stage_topics() -> [(&'static str, Topic); 7] {
        [
            ("cleaner", Topic::DocumentsRaw),
            ("chunker", Topic::DocumentsCleaned),
            ("embedder", Topic::DocumentsChunked),
            ("datasets", Topic::DocumentsCleaned),
            ("trainer", Topic::Datasets),
            ("evaluator", Topic::Models),
            ("inference", Topic::Queries),
        ]
    }
}
