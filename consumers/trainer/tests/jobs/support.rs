//! A supervisor over a runner that does as it is told, and what it works with.
#![allow(missing_docs, reason = "tests use it")]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;
use twin_artifacts::{Artifacts, FolderFile};
use twin_backend::Error;

use tokio::sync::watch;
use twin_coordination::{Lease, Leases, Member, Options as LeaseOptions, Owner};
use twin_jobs::{Ending, Job, Options as HowToRun, Pauses, Queue, Resources, Runner, Status, Supervisor};
use twin_registry::{JobCheckpoint, JobProgress, JobQueue, JobRow, Metric, NewDataset, Registry};
use twin_schemas::{AuthorId, DatasetId, DatasetReady};
use twin_sqlite::{Database, SqliteLeases};
use twin_stream::{Message, Position, TopicPartition};
use twin_trainer::{
    Dependencies, Metrics, ModelFiles, Options, Training, TrainingJobs, TrainingOrder, TrainingProduct, TrainingReport,
};
use twin_training::{Base, Recipe};

type Seen = Status<TrainingProduct, TrainingReport>;

/// What becomes of a job when it is looked at.
#[derive(Clone)]
pub enum Fate {
    Runs(u64),
    Dies,
    GivesWay,
    Fails(&'static str),
    Succeeds(f64),
}

/// Runs nothing: each job has the fate that the test gives it.
pub struct Scripted {
    pub fates: Mutex<HashMap<String, Fate>>,
    pub otherwise: Mutex<Fate>,
    pub submitted: Mutex<Vec<TrainingOrder>>,
    /// So many submissions find the runner away.
    pub away: AtomicUsize,
    /// So many times a job's process can not be ended.
    pub stubborn: AtomicUsize,
    pub files: ModelFiles,
}

impl Scripted {
    pub fn submitted(&self) -> Vec<TrainingOrder> {
        self.submitted.lock().unwrap().clone()
    }

    pub fn all(&self, fate: Fate) {
        *self.otherwise.lock().unwrap() = fate;
    }
}

pub fn checkpoint() -> JobCheckpoint {
    let file = FolderFile { path: "state".into(), artifact: "sha256:c".into(), bytes: 1 };
    JobCheckpoint { step: 2, path: "checkpoints/step-00000002".into(), files: vec![file] }
}

#[async_trait]
impl Runner<Training> for Scripted {
    async fn submit(&self, _: &str, _: u32, _: &Resources, order: &TrainingOrder) -> Result<(), Error> {
        if self.away.load(Ordering::Relaxed) > 0 {
            self.away.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::transient("the cluster does not answer"));
        }
        self.submitted.lock().unwrap().push(order.clone());
        Ok(())
    }

    async fn status(&self, job: &str) -> Result<Seen, Error> {
        let fate = self.fates.lock().unwrap().get(job).cloned();
        let fate = fate.unwrap_or_else(|| self.otherwise.lock().unwrap().clone());
        Ok(match fate {
            Fate::Runs(step) => Status::Running(Some(TrainingReport {
                progress: JobProgress { step, steps: 9, checkpoint: Some(checkpoint()), ..JobProgress::default() },
                metrics: vec![Metric { name: "loss".into(), step, value: 2.0 }],
            })),
            Fate::Dies => Status::Absent("starting\nout of luck".into()),
            Fate::GivesWay => Status::Interrupted("the artifact store is away".into()),
            Fate::Fails(why) => Status::Failed(why.into()),
            Fate::Succeeds(loss) => Status::Succeeded(TrainingProduct {
                steps: 9,
                evaluation_loss: Some(loss),
                seconds: 1.0,
                plan: None,
                metrics: vec![Metric { name: "evaluation_loss".into(), step: 9, value: loss }],
                files: Some(self.files.clone()),
                folds: Vec::new(),
            }),
        })
    }

    async fn cancel(&self, job: &str, _: u32) -> Result<(), Error> {
        if self.stubborn.load(Ordering::Relaxed) > 0 {
            self.stubborn.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::transient("its process is still there"));
        }
        self.fates.lock().unwrap().insert(job.to_owned(), Fate::Dies);
        Ok(())
    }

    async fn reopen(&self, _: &str, _: u32) -> Result<(), Error> {
        Ok(())
    }

    async fn forget(&self, _: &str, _: u32) -> Result<(), Error> {
        Ok(())
    }
}

/// Leases that count what is written: each that is given, renewed or given up.
pub struct Counted {
    pub leases: SqliteLeases,
    pub writes: Arc<AtomicUsize>,
}

#[async_trait]
impl Leases for Counted {
    async fn acquire(&self, name: &str, owner: &Owner, ttl: Duration) -> Result<Option<Lease>, Error> {
        let given = self.leases.acquire(name, owner, ttl).await?;
        self.writes.fetch_add(usize::from(given.is_some()), Ordering::Relaxed);
        Ok(given)
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, Error> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.leases.renew(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), Error> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.leases.release(lease).await
    }

    async fn holders(&self, prefix: &str) -> Result<Vec<Lease>, Error> {
        self.leases.holders(prefix).await
    }
}

/// The training jobs, with one whose order can not be made for a while.
pub struct OneUnreadable {
    pub jobs: TrainingJobs,
    pub unreadable: Arc<Mutex<Option<String>>>,
}

#[async_trait]
impl Queue for OneUnreadable {
    type Kind = Training;
    type Row = JobRow;

    const NAME: &'static str = TrainingJobs::NAME;

    fn changes(&self) -> watch::Receiver<()> {
        self.jobs.changes()
    }

    async fn open(&self) -> Result<Vec<Job<JobRow>>, Error> {
        self.jobs.open().await
    }

    async fn order(&self, job: &Job<JobRow>) -> Result<TrainingOrder, Error> {
        let is_unreadable = self.unreadable.lock().unwrap().as_ref() == Some(&job.name);
        if is_unreadable { Err(Error::transient("the manifest can not be read")) } else { self.jobs.order(job).await }
    }

    async fn start(&self, job: &Job<JobRow>) -> Result<Option<u32>, Error> {
        self.jobs.start(job).await
    }

    async fn report(
        &self,
        job: &Job<JobRow>,
        report: &TrainingReport,
        before: Option<&TrainingReport>,
    ) -> Result<(), Error> {
        self.jobs.report(job, report, before).await
    }

    async fn requeue(&self, job: &Job<JobRow>, reason: &str) -> Result<(), Error> {
        self.jobs.requeue(job, reason).await
    }

    async fn collect(&self, job: &Job<JobRow>, product: TrainingProduct) -> Result<(), Error> {
        self.jobs.collect(job, product).await
    }

    async fn end(&self, job: &Job<JobRow>, attempt: u32, ending: Ending) -> Result<(), Error> {
        self.jobs.end(job, attempt, ending).await
    }
}

/// What several supervisors share.
pub struct Parts {
    pub registry: Registry,
    pub artifacts: Artifacts,
    pub base: Base,
    pub database: Database,
    pub lease_writes: Arc<AtomicUsize>,
    pub folder: tempfile::TempDir,
}

pub struct Fixture {
    pub supervisor: Supervisor<TrainingJobs>,
    pub runner: Arc<Scripted>,
    pub queue: JobQueue,
    pub parts: Parts,
}

/// The files that a job leaves.
pub async fn model_files(artifacts: &Artifacts) -> ModelFiles {
    let put = async |path: &str, content: &str| {
        let artifact = artifacts.put(content.into()).await.unwrap();
        FolderFile { path: path.to_owned(), artifact, bytes: content.len() as u64 }
    };
    ModelFiles {
        merged: Some(vec![put("config.json", "{}").await]),
        adapter: vec![put("adapter_config.json", "{}").await],
        curves: vec![put("loss.csv", "step").await, put("loss.json", "{}").await, put("loss.svg", "<svg/>").await],
    }
}

/// A dataset version with a file of training samples.
pub async fn manifest(artifacts: &Artifacts) -> String {
    let samples = artifacts.put(b"{\"messages\": []}\n".to_vec()).await.unwrap();
    let file = json!({ "name": "sft/train.jsonl", "parts": [samples], "lines": 1, "bytes": 17 });
    let manifest = json!({
        "dataset": dataset(), "number": 1, "created_at": at(), "author": "ada", "build_version": 3, "options": {},
        "documents": [], "counts": { "train": { "voice": 20 } }, "refusals": {}, "files": [file],
    });
    artifacts.put(manifest.to_string().into_bytes()).await.unwrap()
}

/// A base model: a configuration and a safetensors file without a tensor.
pub fn base(folder: &Path) -> Base {
    let path = folder.join("base");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("config.json"), "{}").unwrap();
    std::fs::write(path.join("model.safetensors"), [&2_u64.to_le_bytes()[..], b"{}"].concat()).unwrap();
    Base::open(&path).unwrap()
}

pub async fn fixture(fate: Fate) -> Fixture {
    fixture_with(fate, 1).await
}

/// With so many jobs at once.
pub async fn fixture_with(fate: Fate, jobs: usize) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    let registry = twin_sqlite::registry(database.clone()).await.unwrap();
    let artifacts = Artifacts::in_folder(&folder.path().join("artifacts")).unwrap();
    let base = base(folder.path());
    let queue = JobQueue::new(registry.clone(), &base.fingerprint, Recipe::default());
    let new = NewDataset {
        prompts: None,
        dataset: dataset(),
        author: ada(),
        manifest: manifest(&artifacts).await,
        training_samples: 20,
        counts: BTreeMap::new(),
        reason: "requested".into(),
        members: Vec::new(),
    };
    registry.add_dataset(new, at()).await.unwrap();
    let parts = Parts { registry, artifacts, base, database, lease_writes: Arc::default(), folder };
    let runner = parts.scripted(fate).await;
    let supervisor = parts.supervisor("one", runner.clone(), jobs).await;
    Fixture { supervisor, runner, queue, parts }
}

impl Parts {
    /// A supervisor of its own node and runner.
    pub async fn supervisor(&self, node: &str, runner: Arc<Scripted>, jobs: usize) -> Supervisor<TrainingJobs> {
        self.supervisor_of(self.training_jobs(), node, runner, jobs).await
    }

    /// A supervisor of that queue.
    pub async fn supervisor_of<Q>(&self, queue: Q, node: &str, runner: Arc<Scripted>, jobs: usize) -> Supervisor<Q>
    where
        Q: Queue<Kind = Training>,
    {
        let leases = SqliteLeases::open(self.database.clone()).await.unwrap();
        let leases = Arc::new(Counted { leases, writes: self.lease_writes.clone() });
        let member = Member::new(leases, Owner::new(node), &LeaseOptions { lease_ms: 500 });
        let how = HowToRun {
            jobs,
            attempts: 2,
            resources: Resources { memory_bytes: 1 << 30, seconds: 60 },
            pauses: Pauses { first: Duration::from_millis(5), longest: Duration::from_millis(20) },
        };
        Supervisor::new(queue, runner, member, how)
    }

    pub fn training_jobs(&self) -> TrainingJobs {
        let dependencies = Dependencies {
            registry: self.registry.clone(),
            artifacts: self.artifacts.clone(),
            base: self.base.clone(),
        };
        TrainingJobs::new(
            dependencies,
            &Options::default(),
            Metrics::new(&twin_telemetry::MetricsRegistry::new()).unwrap(),
        )
    }

    pub async fn scripted(&self, fate: Fate) -> Arc<Scripted> {
        let files = model_files(&self.artifacts).await;
        let (fates, submitted) = (Mutex::default(), Mutex::default());
        let (away, stubborn) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Scripted { fates, otherwise: Mutex::new(fate), submitted, away, stubborn, files })
    }

    pub fn move_artifacts(&self, from: &str, to: &str) {
        std::fs::rename(self.folder.path().join(from), self.folder.path().join(to)).unwrap();
    }
}

pub fn ada() -> AuthorId {
    "ada".parse().unwrap()
}

pub fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

pub fn dataset() -> DatasetId {
    DatasetId("d".repeat(64))
}

impl Fixture {
    pub async fn job(&self) -> JobRow {
        self.parts.registry.newest_jobs(None, None, 9).await.unwrap().remove(0)
    }

    /// Looks until the condition holds.
    pub async fn looks_until(&mut self, what: &str, mut holds: impl FnMut(&Scripted) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds(&self.runner) {
            assert!(Instant::now() < deadline, "never: {what}");
            self.supervisor.look().await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub async fn looks(&mut self, times: usize) {
        for _ in 0..times {
            self.supervisor.look().await.unwrap();
        }
    }
}

pub fn ready(offset: u64) -> Message<DatasetReady> {
    let payload = DatasetReady {
        dataset: dataset(),
        author: ada(),
        number: 1,
        manifest: "sha256:manifest".into(),
        training_samples: 20,
        at: at(),
    };
    let partition = TopicPartition { topic: "twin.datasets.v1".into(), partition: 0 };
    Message {
        attributes: twin_schemas::Attributes::new::<DatasetReady>("datasets", "d"),
        payload: Some(payload),
        position: Position { partition, offset },
    }
}
