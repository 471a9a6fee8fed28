//! Children as processes of their own: this test program, run again as a child.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;
use twin_jobs::testing::{AMPLE, Act, Acts, LAST_WORDS, Place, wait_for};
use twin_jobs::{Error, LocalRunner, Outcome, Resources, Runner, Status, Worker, runner_contract};

/// Memory that a child takes whose job is named so.
const EATS: &str = "eats";

/// Not a test of its own: what a child does. It is told its folder by the last argument.
#[test]
fn child() {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(folder) = arguments.last().filter(|_| arguments.iter().any(|a| a == "--nocapture")) else { return };
    let Ok(worker) = Worker::begin(Path::new(folder)) else { return };
    let act: Act = worker.order().unwrap();
    worker.progress(&1).unwrap();
    let eaten = vec![1_u8; if folder.ends_with(EATS) { 200 << 20 } else { 0 }];
    match act {
        Act::Make(product) => worker.finish(&Outcome::Succeeded(product)).unwrap(),
        Act::Fail(reason) => worker.finish(&Outcome::<u32>::Failed(reason)).unwrap(),
        Act::GiveWay(reason) => worker.finish(&Outcome::<u32>::Interrupted(reason)).unwrap(),
        Act::Die => {
            eprintln!("{LAST_WORDS}");
            std::process::abort();
        }
        Act::Stay => std::thread::sleep(Duration::from_secs(60)),
    }
    drop(eaten);
}

fn runner(folder: &Path) -> Arc<dyn Runner<Acts>> {
    // The folder is no filter that any test's name holds, so `child` alone runs.
    let arguments = ["child", "--exact", "--nocapture", "--skip"].map(str::to_owned).into();
    Arc::new(LocalRunner::new(std::env::current_exe().unwrap(), arguments, folder.into()))
}

struct Folder(TempDir);

impl Folder {
    fn job(&self, job: &str) -> PathBuf {
        self.0.path().join(job)
    }
}

#[async_trait]
impl Place for Folder {
    async fn runner(&self) -> Arc<dyn Runner<Acts>> {
        runner(self.0.path())
    }
}

async fn open() -> Folder {
    Folder(tempfile::tempdir().unwrap())
}

runner_contract!(open);

fn why(status: &Status<u32, u32>) -> &str {
    match status {
        Status::Failed(why) => why,
        other => panic!("it is {other:?}"),
    }
}

fn has_failed(status: &Status<u32, u32>) -> bool {
    matches!(status, Status::Failed(_))
}

#[tokio::test]
async fn a_folder_that_a_child_works_on_is_taken_by_no_other() {
    let place = open().await;
    let runner = place.runner().await;
    runner.submit("job", 1, &AMPLE, &Act::Stay).await.unwrap();
    wait_for(&*runner, "job", |seen| *seen == Status::Running(Some(1))).await;
    assert!(matches!(Worker::begin(&place.job("job")), Err(Error::Busy(_))));
    runner.cancel("job", 1).await.unwrap();
    assert!(Worker::begin(&place.job("job")).is_ok());
    runner.forget("job", 1).await.unwrap();
    assert!(!place.job("job").exists());
}

#[tokio::test]
async fn a_child_past_its_limits_is_killed_and_the_outcome_says_so() {
    let place = open().await;
    let runner = place.runner().await;
    let small = Resources { memory_bytes: 100 << 20, ..AMPLE };
    runner.submit(EATS, 1, &small, &Act::Stay).await.unwrap();
    let ended = wait_for(&*runner, EATS, has_failed).await;
    assert!(why(&ended).contains("allowed are 100 MB"), "{ended:?}");

    runner.submit("job", 1, &Resources { seconds: 0, ..AMPLE }, &Act::Stay).await.unwrap();
    let ended = wait_for(&*runner, "job", has_failed).await;
    assert!(why(&ended).contains("longer than"), "{ended:?}");
    runner.reopen("job", 2).await.unwrap();
    assert!(matches!(runner.status("job").await.unwrap(), Status::Absent(_)));
}

/// Changes a file of a job.
fn rewrite(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

#[tokio::test]
async fn a_clock_that_was_set_ends_no_child_and_the_time_that_passed_does() {
    let place = open().await;
    let runner = place.runner().await;
    runner.submit("job", 1, &AMPLE, &Act::Stay).await.unwrap();
    wait_for(&*runner, "job", |seen| *seen == Status::Running(Some(1))).await;
    let lock = place.job("job").join("lock");
    let runs = async || runner.status("job").await.unwrap() == Status::Running(Some(1));

    // What the lock says if the system's clock was years behind when the child began.
    let mut began = Value::Null;
    rewrite(&lock, |identity| {
        began = identity["since"].take();
        identity["since"] = Value::from(0);
    });
    assert!(runs().await);

    // What a child of an older version says.
    let mut identity = Value::Null;
    rewrite(&lock, |now| {
        identity = now.clone();
        *now = json!({ "pid": now["pid"], "since": began });
    });
    assert!(runs().await);

    // The clock that counts here begins at the machine's start, which may be a moment ago.
    rewrite(&place.job("job").join("order.json"), |submission| submission["resources"]["seconds"] = Value::from(0));
    rewrite(&lock, |now| {
        identity["started"]["seconds"] = Value::from(0);
        identity["since"] = Value::from(u64::MAX >> 1);
        *now = identity;
    });
    let ended = runner.status("job").await.unwrap();
    assert!(why(&ended).contains("longer than"), "{ended:?}");
}

#[tokio::test]
async fn a_folder_of_another_version_is_waited_for_and_then_started_again() {
    let place = open().await;
    let runner = place.runner().await;
    runner.submit("job", 1, &AMPLE, &Act::Stay).await.unwrap();
    wait_for(&*runner, "job", |seen| *seen == Status::Running(Some(1))).await;
    // An order without resources, a report and an outcome of other forms.
    std::fs::write(place.job("job").join("order.json"), r#"{"act": "stay"}"#).unwrap();
    std::fs::write(place.job("job").join("progress.json"), r#"{"step": 3}"#).unwrap();
    assert_eq!(runner.status("job").await.unwrap(), Status::Running(None));
    runner.cancel("job", 1).await.unwrap();
    std::fs::write(place.job("job").join("outcome.json"), r#"{"Ok": {"output": "/elsewhere"}}"#).unwrap();
    let gone = runner.status("job").await.unwrap();
    assert!(matches!(&gone, Status::Absent(said) if said.contains("can not be read")), "{gone:?}");
    runner.reopen("job", 2).await.unwrap();
    runner.submit("job", 2, &AMPLE, &Act::Make(42)).await.unwrap();
    wait_for(&*runner, "job", |seen| *seen == Status::Succeeded(42)).await;
}

/// A lock that is held by a process that no signal reaches: there is none of that number.
fn held_by_nobody_who_can_be_killed(folder: &Path) -> File {
    std::fs::create_dir_all(folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.try_lock().unwrap();
    std::fs::write(folder.join("lock"), json!({ "pid": i32::MAX, "since": 0 }).to_string()).unwrap();
    lock
}

#[tokio::test]
async fn a_child_that_can_not_be_ended_is_an_error_that_passes_and_no_outcome_is_written() {
    let place = open().await;
    let runner = place.runner().await;
    let folder = place.job("job");
    let lock = held_by_nobody_who_can_be_killed(&folder);
    let cancelled = runner.cancel("job", 1).await;
    assert!(cancelled.as_ref().is_err_and(twin_backend::Error::is_transient), "{cancelled:?}");
    assert_eq!(runner.status("job").await.unwrap(), Status::Running(None));

    // The same of one that is past its bounds.
    let order = json!({ "resources": { "memory_bytes": 1 << 30, "seconds": 60 }, "order": null });
    std::fs::write(folder.join("order.json"), order.to_string()).unwrap();
    let seen = runner.status("job").await;
    assert!(seen.as_ref().is_err_and(twin_backend::Error::is_transient), "{seen:?}");
    assert!(!folder.join("outcome.json").exists());

    drop(lock);
    runner.cancel("job", 1).await.unwrap();
    assert!(matches!(runner.status("job").await.unwrap(), Status::Absent(_)));
}

#[tokio::test]
async fn one_that_stands_still_between_two_attempts_holds_nobody_up_for_good() {
    let folder = open().await;
    let runner = folder.runner().await;
    runner.reopen("stays", 1).await.unwrap();
    let fence = File::open(folder.0.path().join(".fence")).unwrap();
    fence.lock().unwrap();
    let error = runner.reopen("stays", 2).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains(".fence"), "{error}");
    drop(fence);
    runner.reopen("stays", 2).await.unwrap();
}
