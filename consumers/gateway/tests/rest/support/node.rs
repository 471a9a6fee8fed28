//! A gateway over a real database, log and artifact store.

use std::sync::Arc;

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use twin_artifacts::Artifacts;
use twin_gateway::{Dependencies, Error, Gateway, JobPlanner, Learning, Options, StageGroup, Uploads};
use twin_registry::JobQueue;
use twin_schemas::Topic;
use twin_sqlite::{Database, SqliteLog, SqliteWarehouse};
use twin_stream::{EventLog, TopicSpec};
use twin_telemetry::{Health, MetricsRegistry, Shutdown};
use twin_training::Recipe;
use twin_warehouse::Warehouse;

use super::dead_letters::OneLetter;
use super::eventually;
use super::planner::Planned;
use super::sources::Kinds;
use super::worker::Worker;

pub struct Node {
    pub warehouse: Arc<dyn Warehouse>,
    pub database: Database,
    pub worker: Worker,
    pub registry: twin_registry::Registry,
    pub artifacts: Artifacts,
    pub shutdown: Shutdown,
    pub running: JoinHandle<Result<(), Error>>,
    base: String,
    client: Client,
    folder: TempDir,
}

/// How much of the learning loop a gateway has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Learns {
    All,
    WithoutJobs,
    Nothing,
}

impl Node {
    /// A gateway with one document of `ada`.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> Self {
        Self::start_in(options, Learns::All).await
    }

    /// A gateway of a process without the learning loop.
    pub async fn start_without_learning() -> Self {
        Self::start_in(Options::default(), Learns::Nothing).await
    }

    /// A gateway of a process without a base model that can be trained.
    pub async fn start_without_base() -> Self {
        Self::start_in(Options::default(), Learns::WithoutJobs).await
    }

    async fn start_in(options: Options, learns: Learns) -> Self {
        let folder = TempDir::new().unwrap();
        let database = Database::open(&folder.path().join("twin.db")).unwrap();
        let log: Arc<dyn EventLog> = Arc::new(SqliteLog::open(database.clone(), 64 << 20).await.unwrap());
        log.ensure_topics(&TopicSpec::all(2)).await.unwrap();
        let warehouse: Arc<dyn Warehouse> = Arc::new(SqliteWarehouse::open(database.clone()).await.unwrap());
        let registry = twin_sqlite::registry(database.clone()).await.unwrap();
        let artifacts = Artifacts::in_folder(&folder.path().join("artifacts")).unwrap();
        let configured = Recipe { rank: 16, ..Recipe::default() };
        let queue = match learns {
            Learns::All => Ok(JobQueue::new(registry.clone(), "base", configured)),
            _ => Err("training is not possible here: there is no base model".to_owned()),
        };
        let planner: Result<Arc<dyn JobPlanner>, String> = match learns {
            Learns::All => Ok(Arc::new(Planned)),
            _ => Err("training is not possible here: there is no base model".to_owned()),
        };
        let learning = Learning {
            registry: registry.clone(),
            artifacts: artifacts.clone(),
            queue,
            planner,
            next_versions: Arc::new(Planned),
        };
        let worker = Worker::start(Arc::clone(&log)).await;
        let dependencies = Dependencies {
            log,
            warehouse: Arc::clone(&warehouse),
            sources: Arc::new(Kinds),
            dead_letters: Arc::new(OneLetter),
            health: Health::default(),
            registry: MetricsRegistry::new(),
            stages: vec![StageGroup {
                stage: "cleaner".into(),
                group: "twin.cleaner".into(),
                topic: Topic::DocumentsRaw.name().into(),
            }],
            default_interval_s: 900,
            min_score: None,
            uploads: Some(Uploads { artifacts: artifacts.clone(), folder: folder.path().join("uploads") }),
            learning: (learns != Learns::Nothing).then_some(learning),
        };
        let gateway = Gateway::new(options, dependencies).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let running = tokio::spawn(gateway.run(listener, shutdown.signal()));
        let client = Client::new();
        let node = Self { warehouse, database, worker, registry, artifacts, shutdown, running, base, client, folder };
        eventually("the gateway is ready", async || node.get("/readyz").send().await.unwrap().status() == 200).await;
        let document = json!({"author": "ada", "category": "post", "natural_key": "first", "text": "hello"});
        assert_eq!(node.post("/v1/documents", &document).await.status(), 201);
        node
    }

    /// Another process in the middle of a write: nobody else can write until it is dropped.
    pub fn locked(&self) -> twin_sqlite::rusqlite::Connection {
        let other = twin_sqlite::rusqlite::Connection::open(self.folder.path().join("twin.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        other
    }

    /// Uploads that lie where they come in.
    pub fn uploads_left(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("uploads")).map_or(0, Iterator::count)
    }

    /// Takes the artifact store's folder away.
    pub fn take_artifacts_away(&self) {
        std::fs::rename(self.folder.path().join("artifacts"), self.folder.path().join("away")).unwrap();
    }

    /// Changes a byte of the artifact with that hash.
    pub fn damage(&self, sha256: &str) {
        let path = self.folder.path().join("artifacts").join(&sha256[..2]).join(sha256);
        let mut content = std::fs::read(&path).unwrap();
        content[0] ^= 1;
        std::fs::write(path, content).unwrap();
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base))
    }

    pub fn delete(&self, path: &str) -> RequestBuilder {
        self.client.delete(format!("{}{path}", self.base))
    }

    pub fn request(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.base)).json(body)
    }

    pub async fn put(&self, path: &str, body: &Value) -> Response {
        self.client.put(format!("{}{path}", self.base)).json(body).send().await.unwrap()
    }

    pub fn raw(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.base)).header("content-type", content_type).body(body)
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(path, body).send().await.unwrap()
    }

    pub async fn read(&self, path: &str) -> Value {
        let response = self.get(path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }
}
