//! What the suite runs on: a log of either kind, and a stage with a handler that records what it is given.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use tokio::sync::Barrier;
use twin_kafka::{KafkaLog, KafkaOptions};
use twin_schemas::{
    Category, CleanedDocument, Cleanup, ContentHash, DocumentId, DocumentMeta, MediaType, Payload, RawDocument,
    Revision, SourceKind,
};
use twin_sqlite::{Database, SqliteLog};
use twin_stack::Kafka;
use twin_stream::{
    EventLog, Handler, Message, NewEvent, Outcome, RetryOptions, Stage, StageMetrics, StageOptions, TopicSpec,
};
use twin_telemetry::{Health, MetricsRegistry, Shutdown};
use uuid::Uuid;

/// An event log, and what has to live as long.
pub struct Log {
    log: Arc<dyn EventLog>,
    _folder: Option<tempfile::TempDir>,
    _broker: Option<Kafka>,
}

impl Deref for Log {
    type Target = dyn EventLog;

    fn deref(&self) -> &Self::Target {
        &*self.log
    }
}

impl Log {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("twin.db")).unwrap();
        let log = SqliteLog::open(database, 100_000).await.unwrap();
        Self { log: Arc::new(log), _folder: Some(folder), _broker: None }
    }

    /// A broker of its own, since the stages' topics and groups have fixed names.
    pub async fn kafka() -> Self {
        let broker = tokio::task::spawn_blocking(|| Kafka::start(twin_stack::KafkaOptions::default())).await.unwrap();
        let broker = broker.unwrap();
        let brokers = broker.bootstrap().to_owned();
        let log = KafkaLog::connect(KafkaOptions { brokers, max_value_bytes: 100_000, ..KafkaOptions::default() });
        Self { log: Arc::new(log.await.unwrap()), _folder: None, _broker: Some(broker) }
    }

    pub fn shared(&self) -> Arc<dyn EventLog> {
        self.log.clone()
    }

    pub async fn topic(&self, name: &str, partitions: u32) -> String {
        self.topic_with(name, partitions, Cleanup::Compact).await
    }

    pub async fn topic_with(&self, name: &str, partitions: u32, cleanup: Cleanup) -> String {
        let name = format!("test.{name}");
        self.ensure_topics(&[TopicSpec { name: name.clone(), partitions, cleanup }]).await.unwrap();
        name
    }
}

pub fn document(number: u128) -> DocumentId {
    DocumentId(Uuid::from_u128(number + 1))
}

fn meta(id: DocumentId, revision: Revision) -> DocumentMeta {
    DocumentMeta {
        document_id: id,
        revision,
        author: "ada".parse().unwrap(),
        category: Category::Article,
        source_kind: SourceKind::push(),
        natural_key: id.to_string(),
        title: None,
        url: None,
        published_at: None,
        observed_at: Utc::now(),
        content_hash: ContentHash::stored("sha256:0"),
    }
}

pub fn raw(id: DocumentId, revision: u64) -> NewEvent {
    raw_of(id, revision, "text".to_owned())
}

pub fn raw_of(id: DocumentId, revision: u64, content: String) -> NewEvent {
    let meta = meta(id, Revision(revision));
    let payload = RawDocument { meta, media_type: MediaType::Text, content };
    NewEvent::document("test", id, Revision(revision), &payload)
}

pub fn cleaned(id: DocumentId, revision: Revision) -> CleanedDocument {
    CleanedDocument { meta: meta(id, revision), text: "text".to_owned(), language: None, code_language: None }
}

/// Waits for a condition; a minute is the end.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), waiting).await.is_ok(), "not within a minute: {what}");
}

#[derive(Default)]
pub struct Signal(AtomicBool);

impl Signal {
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

type Seen = (DocumentId, Revision);
type Answer = Arc<dyn Fn(Seen) -> Outcome + Send + Sync>;

/// A handler that notes what it is given and answers as it is told. Clones share their notes.
pub struct Recorder<P = RawDocument> {
    notes: Arc<Notes>,
    answer: Answer,
    pause: Duration,
    hangs: bool,
    meeting: Option<Arc<Barrier>>,
    payload: PhantomData<fn() -> P>,
}

#[derive(Default)]
struct Notes {
    seen: Mutex<Vec<(Seen, bool)>>,
    finished: AtomicUsize,
    largest_batch: AtomicUsize,
}

impl<P> Clone for Recorder<P> {
    fn clone(&self) -> Self {
        Self {
            notes: self.notes.clone(),
            answer: self.answer.clone(),
            pause: self.pause,
            hangs: self.hangs,
            meeting: self.meeting.clone(),
            payload: PhantomData,
        }
    }
}

impl Recorder {
    pub fn answering(answer: impl Fn(Seen) -> Outcome + Send + Sync + 'static) -> Self {
        Self::reading(answer)
    }

    pub fn hanging() -> Self {
        Self { hangs: true, ..Self::answering(|_| Outcome::Done) }
    }
}

impl<P> Recorder<P> {
    /// A recorder of payloads other than raw documents.
    pub fn reading(answer: impl Fn(Seen) -> Outcome + Send + Sync + 'static) -> Self {
        Self {
            notes: Arc::default(),
            answer: Arc::new(answer),
            pause: Duration::ZERO,
            hangs: false,
            meeting: None,
            payload: PhantomData,
        }
    }

    /// Each batch takes this long.
    pub fn taking(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Batches wait until so many are in the handler.
    pub fn meeting(self, count: usize) -> Self {
        Self { meeting: Some(Arc::new(Barrier::new(count))), ..self }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.notes.seen.lock().unwrap().iter().map(|(seen, _)| *seen).collect()
    }

    pub fn tombstones(&self) -> Vec<bool> {
        self.notes.seen.lock().unwrap().iter().map(|(_, tombstone)| *tombstone).collect()
    }

    pub fn finished(&self) -> usize {
        self.notes.finished.load(Ordering::SeqCst)
    }

    pub fn largest_batch(&self) -> usize {
        self.notes.largest_batch.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl<P: Payload> Handler for Recorder<P> {
    type Input = P;

    async fn handle(&self, batch: Vec<Message<P>>) -> Vec<Outcome> {
        self.notes.largest_batch.fetch_max(batch.len(), Ordering::SeqCst);
        let mut given = Vec::new();
        for message in &batch {
            let seen = message.document().unwrap();
            self.notes.seen.lock().unwrap().push((seen, message.payload.is_none()));
            given.push(seen);
        }
        if self.hangs {
            std::future::pending::<()>().await;
        }
        if let Some(meeting) = &self.meeting {
            meeting.wait().await;
        }
        tokio::time::sleep(self.pause).await;
        let outcomes = given.into_iter().map(|seen| (self.answer)(seen)).collect();
        self.notes.finished.fetch_add(batch.len(), Ordering::SeqCst);
        outcomes
    }
}

/// A stage that runs.
pub struct Running {
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<Result<(), twin_stream::Error>>,
    registry: MetricsRegistry,
}

impl Running {
    /// Lets it drain.
    pub async fn stop(self) {
        self.shutdown.begin();
        self.task.await.unwrap().unwrap();
    }

    /// Ends it at once.
    pub async fn abort(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    pub fn metric(&self, name: &str) -> Option<f64> {
        let family = self.registry.gather().into_iter().find(|family| family.name() == name)?;
        Some(family.get_metric().first()?.get_gauge().get_value())
    }
}

pub async fn run_stage<P: Payload>(
    log: Arc<dyn EventLog>,
    recorder: &Recorder<P>,
    adjust: impl FnOnce(&mut StageOptions),
) -> Running {
    stage_named("test", log, recorder, adjust).await
}

pub async fn stage_named<P: Payload>(
    name: &str,
    log: Arc<dyn EventLog>,
    recorder: &Recorder<P>,
    adjust: impl FnOnce(&mut StageOptions),
) -> Running {
    let registry = MetricsRegistry::new();
    let mut options = StageOptions {
        retry: RetryOptions { first_pause_ms: 10, longest_pause_ms: 50, ..RetryOptions::default() },
        commit_every: Duration::from_millis(20),
        lag_every: Duration::from_millis(100),
        drain: Duration::from_secs(10),
        ..StageOptions::default()
    };
    adjust(&mut options);
    let metrics = StageMetrics::new(&registry).unwrap();
    let stage = Stage::new(name, recorder.clone(), log, options, metrics, Health::default().part("test"));
    let shutdown = Shutdown::new();
    let signal = shutdown.signal();
    Running { task: tokio::spawn(stage.run(signal)), shutdown, registry }
}
