//! Jobs from the queue to their end, with a runner whose jobs end as the test says.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use twin_artifacts::Artifacts;
use twin_coordination::{Member, Options as LeaseOptions, Owner};
use twin_lora::Recipe;
use twin_registry::{JobProgress, JobState, Metric, NewDataset, Registry};
use twin_schemas::{AuthorId, DatasetId, DatasetReady, JobId};
use twin_sqlite::{Database, SqliteLeases};
use twin_stream::{Handler, Message, Outcome, Position, TopicPartition};
use twin_trainer::{
    Base, DatasetFiles, Error, JobQueue, JobRunner, Metrics, Options, Order, Product, Report, SampleFiles, Status,
    Supervisor, Sweep, Trigger,
};

/// What becomes of a job when it is looked at.
#[derive(Clone)]
enum Fate {
    Runs(u64),
    Dies,
    Fails(&'static str),
    Succeeds(f64),
}

/// Runs nothing: each job has the fate that the test gives it.
struct Scripted {
    fates: Mutex<HashMap<JobId, Fate>>,
    otherwise: Mutex<Fate>,
    submitted: Mutex<Vec<Order>>,
    output: PathBuf,
}

#[async_trait]
impl JobRunner for Scripted {
    async fn submit(&self, order: &Order) -> Result<(), Error> {
        self.submitted.lock().unwrap().push(order.clone());
        Ok(())
    }

    async fn status(&self, job: &JobId) -> Result<Status, Error> {
        let fate = self.fates.lock().unwrap().get(job).cloned();
        let fate = fate.unwrap_or_else(|| self.otherwise.lock().unwrap().clone());
        Ok(match fate {
            Fate::Runs(step) => Status::Running(Some(Report {
                progress: JobProgress { step, steps: 9, ..JobProgress::default() },
                metrics: vec![Metric { name: "loss".into(), step, value: 2.0 }],
            })),
            Fate::Dies => Status::Absent("starting\nout of luck".into()),
            Fate::Fails(why) => Status::Failed(why.into()),
            Fate::Succeeds(loss) => Status::Succeeded(Product {
                steps: 9,
                evaluation_loss: Some(loss),
                seconds: 1.0,
                metrics: vec![Metric { name: "evaluation_loss".into(), step: 9, value: loss }],
                output: self.output.clone(),
            }),
        })
    }

    async fn cancel(&self, job: &JobId) -> Result<(), Error> {
        self.fates.lock().unwrap().insert(job.clone(), Fate::Dies);
        Ok(())
    }

    async fn reopen(&self, _: &JobId) -> Result<(), Error> {
        Ok(())
    }

    async fn forget(&self, _: &JobId) -> Result<(), Error> {
        Ok(())
    }
}

struct OneFile;

#[async_trait]
impl DatasetFiles for OneFile {
    async fn of(&self, _: &str, _: &Recipe) -> Result<SampleFiles, Error> {
        Ok(SampleFiles { train: vec!["sha256:t".into()], validation: Vec::new() })
    }
}

/// What several supervisors share.
struct Parts {
    registry: Registry,
    artifacts: Artifacts,
    base: Base,
    database: Database,
    folder: tempfile::TempDir,
}

struct Fixture {
    supervisor: Supervisor,
    runner: Arc<Scripted>,
    queue: JobQueue,
    parts: Parts,
}

/// The folders that a job leaves.
fn output(folder: &Path) -> PathBuf {
    let output = folder.join("output");
    for (name, text) in [
        ("merged/config.json", "{}"),
        ("adapter/adapter_config.json", "{}"),
        ("loss.csv", "step"),
        ("loss.json", "{}"),
        ("loss.svg", "<svg/>"),
    ] {
        let path = output.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    output
}

/// A base model: a configuration and a safetensors file without a tensor.
fn base(folder: &Path) -> Base {
    let path = folder.join("base");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("config.json"), "{}").unwrap();
    std::fs::write(path.join("model.safetensors"), [&2_u64.to_le_bytes()[..], b"{}"].concat()).unwrap();
    Base::open(&path).unwrap()
}

async fn fixture(fate: Fate) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    let registry = twin_sqlite::registry(database.clone()).await.unwrap();
    let artifacts = Artifacts::in_folder(&folder.path().join("artifacts")).unwrap();
    let runner = scripted(fate, folder.path());
    let (options, base) = (Options { attempts: 2, ..Options::default() }, base(folder.path()));
    let queue = JobQueue::new(registry.clone(), base.clone(), &options).unwrap();
    let new = NewDataset {
        dataset: dataset(),
        author: ada(),
        manifest: "sha256:manifest".into(),
        training_samples: 20,
        counts: BTreeMap::new(),
        reason: "requested".into(),
        members: Vec::new(),
    };
    registry.add_dataset(new, at()).await.unwrap();
    let parts = Parts { registry, artifacts, base, database, folder };
    let supervisor = parts.supervisor("one", runner.clone()).await;
    Fixture { supervisor, runner, queue, parts }
}

impl Parts {
    /// A supervisor of its own node and runner.
    async fn supervisor(&self, node: &str, runner: Arc<Scripted>) -> Supervisor {
        let leases = Arc::new(SqliteLeases::open(self.database.clone()).await.unwrap());
        let member = Member::new(leases, Owner::new(node), &LeaseOptions { lease_ms: 500 });
        Supervisor::new(
            Options { attempts: 2, ..Options::default() },
            self.registry.clone(),
            self.artifacts.clone(),
            self.folder.path().join("artifacts"),
            self.base.clone(),
            runner,
            Arc::new(OneFile),
            member,
            Metrics::new(&twin_telemetry::Registry::new()).unwrap(),
        )
    }
}

fn scripted(fate: Fate, folder: &Path) -> Arc<Scripted> {
    let (fates, submitted) = (Mutex::default(), Mutex::default());
    Arc::new(Scripted { fates, otherwise: Mutex::new(fate), submitted, output: output(folder) })
}

fn ada() -> AuthorId {
    "ada".parse().unwrap()
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn dataset() -> DatasetId {
    DatasetId("d".repeat(64))
}

impl Fixture {
    async fn job(&self) -> twin_registry::JobRow {
        self.parts.registry.newest_jobs(None, None, 9).await.unwrap().remove(0)
    }

    async fn looks(&mut self, times: usize) {
        for _ in 0..times {
            self.supervisor.look().await.unwrap();
        }
    }
}

fn ready(offset: u64) -> Message<DatasetReady> {
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

#[tokio::test]
async fn a_dataset_becomes_one_job_however_often_its_event_comes() {
    let f = fixture(Fate::Runs(1)).await;
    let trigger = Trigger::new(f.queue.clone(), &Options::default());
    let outcomes = trigger.handle(vec![ready(0), ready(0), ready(1)]).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done)), "{outcomes:?}");
    assert_eq!(f.parts.registry.newest_jobs(None, None, 9).await.unwrap().len(), 1);
    let by_hand = Trigger::new(f.queue.clone(), &Options { automatic: false, ..Options::default() });
    f.parts
        .registry
        .set_recipe(&ada(), &Recipe { rank: 2, ..Recipe::default() }.canonical(), "grace", at())
        .await
        .unwrap();
    by_hand.handle(vec![ready(0)]).await;
    assert_eq!(f.parts.registry.newest_jobs(None, None, 9).await.unwrap().len(), 1, "nothing is trained by itself");
    trigger.handle(vec![ready(0)]).await;
    assert_eq!(f.parts.registry.newest_jobs(None, None, 9).await.unwrap().len(), 2, "another recipe is another job");
}

#[tokio::test]
async fn a_job_that_succeeds_makes_a_model_whose_manifest_names_its_files() {
    let mut f = fixture(Fate::Runs(3)).await;
    f.queue.train(&ada(), &dataset(), &Recipe::default()).await.unwrap();
    f.looks(2).await;
    let running = f.job().await;
    assert_eq!((running.state, running.progress.map(|progress| progress.step)), (JobState::Running, Some(3)));
    *f.runner.otherwise.lock().unwrap() = Fate::Succeeds(1.5);
    f.looks(2).await;
    let done = f.job().await;
    assert_eq!((done.state, done.attempts), (JobState::Succeeded, 1));
    let manifest = f.parts.registry.model_manifest(&f.parts.artifacts, &done.model.unwrap()).await.unwrap();
    assert_eq!((manifest.evaluation_loss, manifest.merged[0].path.as_str()), (Some(1.5), "config.json"));
    assert_eq!(manifest.curves.len(), 3);
    assert_eq!(f.runner.submitted.lock().unwrap().len(), 1);
    assert!(f.parts.folder.path().exists());
}

#[tokio::test]
async fn a_job_whose_process_is_gone_is_started_again_and_then_fails_with_what_it_said_last() {
    let mut f = fixture(Fate::Dies).await;
    f.queue.train(&ada(), &dataset(), &Recipe::default()).await.unwrap();
    f.looks(3).await;
    assert_eq!((f.job().await.state, f.job().await.attempts), (JobState::Running, 2));
    f.looks(2).await;
    let failed = f.job().await;
    assert_eq!(failed.state, JobState::Failed);
    assert!(failed.reason.as_deref().is_some_and(|reason| reason.ends_with("out of luck")), "{failed:?}");
    assert_eq!(f.runner.submitted.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_job_fails_with_its_reason_and_can_be_tried_again() {
    let mut f = fixture(Fate::Fails("the model's files hold no tensor `x`")).await;
    let job = f.queue.train(&ada(), &dataset(), &Recipe::default()).await.unwrap().job;
    f.looks(2).await;
    assert_eq!(f.job().await.reason.as_deref(), Some("the model's files hold no tensor `x`"));
    assert!(f.parts.registry.retry_job(&job, Utc::now()).await.unwrap());
    *f.runner.otherwise.lock().unwrap() = Fate::Succeeds(1.0);
    f.looks(2).await;
    assert_eq!((f.job().await.state, f.job().await.attempts), (JobState::Succeeded, 2));
}

#[tokio::test]
async fn a_cancelled_job_stops_and_stays_cancelled() {
    let mut f = fixture(Fate::Runs(1)).await;
    let job = f.queue.train(&ada(), &dataset(), &Recipe::default()).await.unwrap().job;
    f.looks(1).await;
    assert!(f.parts.registry.cancel_job(&job, "grace", at()).await.unwrap());
    f.looks(3).await;
    let cancelled = f.job().await;
    assert_eq!((cancelled.state, cancelled.reason.as_deref()), (JobState::Cancelled, Some("cancelled by grace")));
    assert!(matches!(f.runner.fates.lock().unwrap().get(&job), Some(Fate::Dies)), "its process was ended");
}

#[tokio::test]
async fn a_job_that_another_supervisor_follows_is_left_to_it_though_its_folder_is_not_here() {
    let mut f = fixture(Fate::Runs(1)).await;
    f.queue.train(&ada(), &dataset(), &Recipe::default()).await.unwrap();
    f.looks(2).await;
    // A second supervisor, on another machine: its runner knows nothing of the job.
    let elsewhere = scripted(Fate::Dies, f.parts.folder.path());
    let mut second = f.parts.supervisor("two", elsewhere.clone()).await;
    for _ in 0..5 {
        second.look().await.unwrap();
        f.looks(1).await;
    }
    assert_eq!((f.job().await.state, f.job().await.attempts), (JobState::Running, 1));
    assert!(elsewhere.submitted.lock().unwrap().is_empty());

    // The first stands still: its lease passes, and the job goes on with the second.
    let first = std::mem::replace(&mut f.supervisor, f.parts.supervisor("three", elsewhere.clone()).await);
    drop(first);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while elsewhere.submitted.lock().unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline, "the job was not taken over");
        second.look().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!((f.job().await.state, f.job().await.attempts), (JobState::Running, 2));
    // What the first one's process ends with when it wakes up is of an attempt that is over.
    let job = f.job().await.job;
    f.parts.registry.finish_job(&job, 1, twin_registry::JobOutcome::Failed("late".into()), at()).await.unwrap();
    assert_eq!(f.job().await.state, JobState::Running);
}

#[tokio::test]
async fn a_job_for_another_base_model_fails_and_says_what_to_do() {
    let mut f = fixture(Fate::Succeeds(1.0)).await;
    let other = f.parts.folder.path().join("other");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("config.json"), "{ }").unwrap();
    std::fs::copy(f.parts.folder.path().join("base/model.safetensors"), other.join("model.safetensors")).unwrap();
    let queue = JobQueue::new(f.parts.registry.clone(), Base::open(&other).unwrap(), &Options::default()).unwrap();
    queue.train(&ada(), &dataset(), &Recipe::default()).await.unwrap();
    f.looks(2).await;
    let failed = f.job().await;
    assert!(failed.reason.as_deref().is_some_and(|reason| reason.contains("set trainer.base")), "{failed:?}");
}

#[tokio::test]
async fn a_sweep_makes_the_recipe_of_the_lowest_loss_the_authors_and_no_model() {
    let mut f = fixture(Fate::Succeeds(2.0)).await;
    let sweep = "search = \"grid\"\ntrials = 4\n[values]\nrank = [2, 4]\nlearning_rate = [0.001, 0.002]\n";
    let trials = f.queue.sweep(&ada(), &dataset(), &Sweep::from_toml(sweep).unwrap()).await.unwrap();
    assert_eq!(trials.len(), 4);
    let best = trials[2].clone();
    f.runner.fates.lock().unwrap().insert(best.job.clone(), Fate::Succeeds(1.0));
    f.runner.fates.lock().unwrap().insert(trials[3].job.clone(), Fate::Fails("too large"));
    f.looks(12).await;
    assert!(f.parts.registry.newest_models(None, 9).await.unwrap().is_empty());
    let chosen = f.parts.registry.recipe(&ada()).await.unwrap().unwrap();
    assert_eq!(chosen.recipe, best.recipe);
    assert!(chosen.origin.contains("evaluation loss 1.0000"), "{}", chosen.origin);
    assert_eq!(f.queue.recipe_of(&ada()).await.unwrap().canonical(), best.recipe);
    // A recipe that is set later stays.
    f.parts.registry.set_recipe(&ada(), &trials[0].recipe, "grace", Utc::now()).await.unwrap();
    f.looks(2).await;
    assert_eq!(f.parts.registry.recipe(&ada()).await.unwrap().unwrap().origin, "grace");
}

#[test]
fn a_sweep_says_what_is_wrong_with_it_and_draws_the_same_recipes_each_time() {
    for (text, wrong) in [
        ("search = \"grid\"\ntrials = 0\n[values]\nrank = [2]\n", "`trials`"),
        ("search = \"grid\"\ntrials = 2\n[values]\nrnk = [2]\n", "rnk"),
        ("search = \"grid\"\ntrials = 2\n[values]\nrank = [0]\n", "rank"),
        ("search = \"best\"\ntrials = 2\n[values]\nrank = [2]\n", "best"),
        ("search = \"grid\"\ntrials = 2\n[values]\n", "`values`"),
    ] {
        let error = Sweep::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(wrong), "{error}");
    }
    let random = "search = \"random\"\ntrials = 5\nseed = 3\n[values]\nrank = [2, 4, 8]\nalpha = [8.0, 16.0, 32.0]\n";
    let draw = || Sweep::from_toml(random).unwrap().recipes().unwrap();
    let drawn = draw();
    assert_eq!((drawn.len(), &drawn), (5, &draw()));
    assert!(drawn.iter().enumerate().all(|(index, recipe)| !drawn[..index].contains(recipe)));
}
