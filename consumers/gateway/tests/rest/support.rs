//! A running gateway, and a worker that answers by the text of the question.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;
use twin_api::{DeadLetterView, FieldError, PlannedFoldsView};
use twin_artifacts::Artifacts;
use twin_gateway::{
    DeadLetterAccess, Dependencies, Error, Gateway, JobPlanner, Learning, NextVersions, Options, PlannedRun, PortError,
    Registration, SourceResolver, StageGroup, Uploads,
};
use twin_registry::{Collected, JobQueue};
use twin_schemas::{
    AnswerCheck, AnswerEvent, AnswerMode, AnswerPart, Answered, Attributes, AuthorId, Category, Citation, Copied,
    DatasetId, DocumentId, EmbedQuery, Embedded, FailureKind, FinishReason, Passage, Payload, Query, QueryEvent,
    QueryKind, RequestId, Revision, SourceKind, StageTimings, Topic, Usage, Voice, WrittenText,
};
use twin_sqlite::{Database, SqliteLog, SqliteWarehouse};
use twin_stream::{DeadLetterCursor, EventLog, NewEvent, StartAt, TopicPartition, TopicSpec};
use twin_telemetry::{Health, MetricsRegistry, Shutdown};
use twin_training::{Fit, Plan, Recipe};
use twin_warehouse::Warehouse;
use uuid::Uuid;

/// Far longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

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

/// Plans what it is asked for, and leaves one grounded sample of two out.
pub struct Planned;

#[async_trait]
impl NextVersions for Planned {
    async fn collected(&self, _: &AuthorId) -> Result<Collected, PortError> {
        Ok(Collected { new_samples: 34, needed: 200, key: "datasets.freeze.new_samples" })
    }
}

#[async_trait]
impl JobPlanner for Planned {
    async fn plan(&self, _: &DatasetId, recipe: &Recipe) -> Result<PlannedRun, PortError> {
        let folds = Some(PlannedFoldsView { folds: 5, steps: 20, tokens: 5_120, seconds: 50.0 });
        Ok(PlannedRun { plan: planned(recipe), seconds: 60.0, folds, by_a_job: true, refused: None })
    }
}

/// A plan by that recipe.
pub fn planned(recipe: &Recipe) -> Plan {
    Plan {
        recipe: recipe.clone(),
        samples: [("grounded".to_owned(), Fit { read: 2, too_long: 1, unseen: 1 })].into(),
        longest: 300,
        limit: 256,
        positions: 512,
        steps: 120,
        tokens: 30_000,
        evaluation_tokens: 2_000,
        memory_bytes: 1 << 30,
        parameters: 135_000_000,
    }
}

/// The rank in the recipe of a job.
pub fn rank(job: &Value) -> usize {
    Recipe::from_canonical(job["recipe"].as_str().unwrap()).unwrap().rank
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

/// Waits until it holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never came: {what}"));
}

/// The document in a response, whose status is checked.
pub async fn body(response: Response, status: u16) -> Value {
    let found = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The problem in a response, whose status and content type are checked.
pub async fn problem(response: Response, status: u16) -> Value {
    let found = response.status();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let text = response.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    assert_eq!(content_type, "application/problem+json", "{text}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem["status"], status);
    problem
}

/// Answers queries by the text of the question and notes what it is asked.
pub struct Worker {
    seen: Arc<Mutex<Vec<QueryEvent>>>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Worker {
    async fn start(log: Arc<dyn EventLog>) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let topic = QueryEvent::TOPIC.name();
        let mut tasks = Vec::new();
        for partition in log.watermarks(topic).await.unwrap().into_keys() {
            let partition = TopicPartition { topic: topic.into(), partition };
            let mut tail = log.tail(&partition, StartAt::Beginning).await.unwrap();
            let (log, seen) = (Arc::clone(&log), Arc::clone(&seen));
            tasks.push(AbortOnDropHandle::new(tokio::spawn(async move {
                loop {
                    for record in tail.next().await.unwrap() {
                        let attributes = Attributes::from_headers(&record.headers).unwrap();
                        let event: QueryEvent = attributes.decode(&record.value.unwrap()).unwrap();
                        seen.lock().unwrap().push(event.clone());
                        match event {
                            QueryEvent::Ask(query) => answer(log.as_ref(), &query).await,
                            QueryEvent::Embed(query) => embed(log.as_ref(), &query).await,
                            QueryEvent::Cancel { .. } => {}
                        }
                    }
                }
            })));
        }
        Self { seen, _tasks: tasks }
    }

    pub fn asked(&self) -> Vec<Query> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter_map(|event| if let QueryEvent::Ask(query) = event { Some((**query).clone()) } else { None })
            .collect()
    }

    /// The one embedding that was asked for.
    pub async fn only_embedding(&self) -> EmbedQuery {
        let embeddings = || {
            let seen = self.seen.lock().unwrap();
            let embedding =
                |event: &QueryEvent| if let QueryEvent::Embed(query) = event { Some((**query).clone()) } else { None };
            seen.iter().filter_map(embedding).collect::<Vec<_>>()
        };
        eventually("an embedding", async || !embeddings().is_empty()).await;
        let mut asked = embeddings();
        assert_eq!(asked.len(), 1);
        asked.remove(0)
    }

    pub fn is_cancelled(&self, query: &Query) -> bool {
        let cancel = QueryEvent::Cancel { request_id: query.request_id };
        self.seen.lock().unwrap().contains(&cancel)
    }

    /// The one query that was asked.
    pub async fn only_query(&self) -> Query {
        eventually("a query", async || !self.asked().is_empty()).await;
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1);
        asked.remove(0)
    }
}

async fn answer(log: &dyn EventLog, query: &Query) {
    let first = RequestId::new();
    let text = query.messages.last().unwrap().content.as_str();
    let mut parts: Vec<(RequestId, u32, AnswerPart)> = match text {
        "silence" => Vec::new(),
        "half" => vec![(first, 0, retrieved()), (first, 1, delta("Yes"))],
        "abstain" => vec![(first, 0, retrieved()), (first, 1, finished("I do not know.", true))],
        "overloaded" => vec![(first, 0, failed(FailureKind::Overloaded))],
        "expired" => vec![(first, 0, failed(FailureKind::Expired))],
        "unavailable" => vec![(first, 0, failed(FailureKind::Unavailable))],
        "invalid" => vec![(first, 0, failed(FailureKind::Invalid))],
        "late failure" => {
            vec![(first, 0, retrieved()), (first, 1, delta("Yes")), (first, 2, failed(FailureKind::Unavailable))]
        }
        "two attempts" => {
            let second = RequestId::new();
            vec![
                (first, 0, retrieved()),
                (second, 0, retrieved()),
                (first, 1, delta("first")),
                (second, 1, delta("second")),
                (second, 2, finished("second", false)),
                (first, 1, delta("first")),
                (first, 2, finished("first", false)),
            ]
        }
        _ => vec![
            (first, 0, retrieved()),
            (first, 1, delta("Yes")),
            (first, 2, delta(" [1].")),
            (first, 3, finished("Yes [1].", false)),
        ],
    };
    if query.kind == QueryKind::Retrieve {
        parts.truncate(1);
    }
    for (_, _, part) in &mut parts {
        if let AnswerPart::Finished(answered) = part
            && query.kind == QueryKind::Write
            && !answered.abstained
        {
            *part = written((**answered).clone());
        }
    }
    for (attempt, sequence, part) in parts {
        let event = AnswerEvent { request_id: query.request_id, reply_to: query.reply_to, attempt, sequence, part };
        publish(log, event).await;
    }
}

async fn publish(log: &dyn EventLog, event: AnswerEvent) {
    let attributes = Attributes::new::<AnswerEvent>("inference", event.request_id.to_string());
    let record = NewEvent::new(event.reply_to.to_string(), attributes, &event).into_record();
    log.append(vec![record]).await.unwrap();
}

/// Two numbers for each text, its place and its length, in parts of two; of a second attempt too where the first text says so.
async fn embed(log: &dyn EventLog, query: &EmbedQuery) {
    let vectors: Vec<Vec<f32>> =
        query.texts.iter().zip(0_u8..).map(|(text, place)| vec![f32::from(place), text.len() as f32]).collect();
    let mut parts: Vec<AnswerPart> = Vec::new();
    for (vectors, part) in vectors.chunks(2).zip(0..) {
        parts.push(AnswerPart::Vectors { first: 2 * part, vectors: vectors.to_vec() });
    }
    match query.texts[0].as_str() {
        "invalid" => parts = vec![failed(FailureKind::Invalid)],
        // The first attempt stops after its first part.
        "two attempts" => publish(log, embedding_part(query, RequestId::new(), 0, parts[0].clone())).await,
        "one is missing" => drop(parts.pop()),
        _ => {}
    }
    let end = Embedded { model: "tiny@0".into(), tokens: 7, timings: StageTimings::default() };
    let attempt = RequestId::new();
    for (part, sequence) in parts.into_iter().chain([AnswerPart::Embedded(end)]).zip(0..) {
        publish(log, embedding_part(query, attempt, sequence, part)).await;
    }
}

fn embedding_part(query: &EmbedQuery, attempt: RequestId, sequence: u32, part: AnswerPart) -> AnswerEvent {
    AnswerEvent { request_id: query.request_id, reply_to: query.reply_to, attempt, sequence, part }
}

fn passage() -> Passage {
    Passage {
        document_id: DocumentId(Uuid::from_u128(7)),
        revision: Revision(2),
        ordinal: 3,
        natural_key: "first".into(),
        title: Some("First".into()),
        url: None,
        category: Category::Post,
        heading_path: vec!["Top".into()],
        text: "hello".into(),
        score: 0.75,
    }
}

fn retrieved() -> AnswerPart {
    AnswerPart::Retrieved { passages: vec![passage()], timings: StageTimings::default() }
}

fn delta(text: &str) -> AnswerPart {
    AnswerPart::Delta { text: text.into() }
}

fn failed(kind: FailureKind) -> AnswerPart {
    AnswerPart::Failed { kind, message: "as the script says".into() }
}

fn finished(text: &str, abstained: bool) -> AnswerPart {
    AnswerPart::Finished(Box::new(Answered {
        text: text.into(),
        abstained,
        mode: AnswerMode::Generated,
        citations: vec![Citation { marker: 1, cited: !abstained, passage: passage() }],
        model: "scripted".into(),
        finish_reason: FinishReason::Stop,
        usage: Usage { prompt_tokens: 20, completion_tokens: 4 },
        timings: StageTimings { queue_ms: 1.0, embed_ms: 2.0, search_ms: 3.0, first_token_ms: 4.0, generate_ms: 5.0 },
        check: AnswerCheck::default(),
        searched_question: Some("So? hi".into()),
    }))
}

fn written(answered: Answered) -> AnswerPart {
    let check = AnswerCheck {
        grounded_share: Some(0.25),
        invented_quotations: vec!["as nobody ever said".into()],
        ..AnswerCheck::default()
    };
    let answered = Answered { check, ..answered };
    let copied = |marker| Copied { text: "hello".into(), marker, passage: passage() };
    AnswerPart::Written(Box::new(WrittenText {
        answered,
        voice: Voice::Examples,
        examples: vec![passage()],
        copied: vec![copied(Some(1)), copied(None)],
    }))
}

/// Knows feeds, whose pages name their feed, folders and uploads.
struct Kinds;

#[async_trait]
impl SourceResolver for Kinds {
    fn resolve(&self, kind: Option<&str>, location: &str) -> Result<(SourceKind, String), PortError> {
        let is_url = location.starts_with("https://");
        let kind = kind.unwrap_or(if is_url { "feed" } else { "folder" });
        if kind == "feed" && !is_url {
            return Err(PortError::Invalid(format!("{location:?} is no https URL")));
        }
        Ok((SourceKind::new(kind), location.trim_end_matches('/').to_owned()))
    }

    fn kinds(&self) -> Vec<&'static str> {
        vec!["feed", "folder", "files"]
    }

    fn check(&self, registration: Registration<'_>) -> Result<(), FieldError> {
        let wrong = |key: String| Err(FieldError::new(key, "is not known"));
        let settings = registration.settings.as_object().into_iter().flat_map(|settings| settings.keys());
        if let Some(name) = settings.into_iter().find(|name| *name != "user") {
            return wrong(format!("settings.{name}"));
        }
        match registration.secrets.names().find(|name| *name != "token") {
            Some(name) => wrong(format!("secrets.{name}")),
            None => Ok(()),
        }
    }

    async fn inspect(&self, registration: Registration<'_>) -> Result<String, PortError> {
        match registration.location {
            busy if busy.contains("busy") => {
                let why = format!("{busy} is busy; give `unchecked`");
                Err(PortError::Away { why, retry_after_s: Some(120) })
            }
            away if away.contains("away") => Err(PortError::Invalid(format!("{away} is away"))),
            page if page.ends_with(".example") => Ok(format!("{page}/feed")),
            feed => Ok(feed.to_owned()),
        }
    }

    fn check_file(&self, kind: &SourceKind, name: &str) -> Result<(), String> {
        let is_read = kind.as_str() == "files" && name.ends_with(".md");
        if is_read { Ok(()) } else { Err(format!("{name:?} is not read by a source of kind {kind}")) }
    }
}

/// Has the dead letter `raw:1`.
struct OneLetter;

fn letter() -> DeadLetterView {
    DeadLetterView {
        id: "raw:1".into(),
        topic: Topic::DocumentsRaw.name().into(),
        stage: "cleaner".into(),
        class: "decode".into(),
        message: "payload: no JSON".into(),
        attempts: 1,
        first_seen: None,
        dead_at: chrono::Utc::now(),
        original_position: "raw[0]@5".into(),
        key: "k".into(),
        event_type: None,
        subject: None,
        revision: None,
        headers: Default::default(),
        value: Some(json!({"a": 1})),
        replayed: false,
    }
}

#[async_trait]
impl DeadLetterAccess for OneLetter {
    async fn list(
        &self,
        topic: Option<&str>,
        before: Option<&DeadLetterCursor>,
        _limit: usize,
    ) -> Result<(Vec<DeadLetterView>, Option<DeadLetterCursor>), PortError> {
        let letters = [letter()].into_iter().filter(|letter| topic.is_none_or(|topic| topic == letter.topic));
        if before.is_some() {
            return Ok((Vec::new(), None));
        }
        let next = "twin.documents.raw.v1:1".parse().ok();
        Ok((letters.map(|letter| DeadLetterView { value: None, ..letter }).collect(), next))
    }

    async fn show(&self, id: &str) -> Result<Option<DeadLetterView>, PortError> {
        Ok((id == "raw:1").then(letter))
    }

    async fn replay(&self, id: &str) -> Result<Option<String>, PortError> {
        Ok((id == "raw:1").then(|| "raw[0]@9".to_owned()))
    }
}
