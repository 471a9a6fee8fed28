//! Children as processes of their own: this test program, run again as a child.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use twin_jobs::{Children, Error, Limits, Look, Worker};

#[derive(Serialize, Deserialize)]
struct Order {
    act: String,
}

const AMPLE: Limits = Limits { memory: 4 << 30, time: Duration::from_secs(600) };

/// Not a test of its own: what a child does. It is told its folder by the last argument.
#[test]
fn child() {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(folder) = arguments.last().filter(|_| arguments.iter().any(|a| a == "--nocapture")) else { return };
    let Ok(worker) = Worker::begin(Path::new(folder)) else { return };
    let order: Order = worker.order().unwrap();
    worker.progress(&order.act.len()).unwrap();
    match order.act.as_str() {
        "succeed" => worker.finish(&Ok::<_, String>(42)).unwrap(),
        "die" => std::process::abort(),
        "eat" => {
            let eaten = vec![1_u8; 200 << 20];
            std::thread::sleep(Duration::from_secs(60));
            drop(eaten);
        }
        _ => std::thread::sleep(Duration::from_secs(60)),
    }
}

fn children(folder: &Path, limits: Limits) -> Children {
    // The folder is no filter that any test's name holds, so `child` alone runs.
    Children::new(
        std::env::current_exe().unwrap(),
        ["child", "--exact", "--nocapture", "--skip"].map(str::to_owned).into(),
        folder.into(),
        limits,
    )
}

fn order(act: &str) -> Order {
    Order { act: act.to_owned() }
}

/// Looks until the condition holds.
fn wait_for(children: &Children, wanted: impl Fn(&Look<u32, usize>) -> bool) -> Look<u32, usize> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let look = children.look("job").unwrap();
        if wanted(&look) {
            return look;
        }
        assert!(Instant::now() < deadline, "still {look:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_job_is_done_once_and_its_outcome_stays() {
    let home = tempfile::tempdir().unwrap();
    let jobs = children(home.path(), AMPLE);
    assert_eq!(jobs.look::<u32, usize>("job").unwrap(), Look::Idle(String::new()));
    jobs.start("job", &order("succeed")).unwrap();
    let ended = wait_for(&jobs, |look| matches!(look, Look::Ended(_)));
    assert_eq!(ended, Look::Ended(Ok(42)));
    jobs.start("job", &order("sleep")).unwrap();
    let again = children(home.path(), AMPLE).look::<u32, usize>("job").unwrap();
    assert_eq!(again, Look::Ended(Ok(42)), "a parent that was started anew sees it too");
    jobs.remove("job").unwrap();
    assert!(!home.path().join("job").exists());
}

#[test]
fn a_new_parent_finds_a_child_that_works_and_starts_no_second_one() {
    let home = tempfile::tempdir().unwrap();
    children(home.path(), AMPLE).start("job", &order("sleep")).unwrap();
    let parent = children(home.path(), AMPLE);
    wait_for(&parent, |look| *look == Look::Working(Some(5)));
    parent.start("job", &order("succeed")).unwrap();
    let second = Worker::begin(&home.path().join("job"));
    assert!(matches!(second, Err(Error::Busy(_))));
    parent.kill("job").unwrap();
    wait_for(&parent, |look| matches!(look, Look::Idle(_)));
}

#[test]
fn a_child_that_dies_leaves_the_job_idle_with_the_end_of_its_log() {
    let home = tempfile::tempdir().unwrap();
    let jobs = children(home.path(), AMPLE);
    jobs.start("job", &order("die")).unwrap();
    let look = wait_for(&jobs, |look| matches!(look, Look::Idle(_)));
    assert!(matches!(&look, Look::Idle(log) if log.contains("running 1 test")), "{look:?}");
    jobs.start("job", &order("succeed")).unwrap();
    wait_for(&jobs, |look| *look == Look::Ended(Ok(42)));
}

#[test]
fn a_child_past_its_limits_is_killed_and_the_outcome_says_so() {
    let home = tempfile::tempdir().unwrap();
    let small = children(home.path(), Limits { memory: 100 << 20, ..AMPLE });
    small.start("job", &order("eat")).unwrap();
    let ended = wait_for(&small, |look| matches!(look, Look::Ended(_)));
    assert!(matches!(&ended, Look::Ended(Err(why)) if why.contains("allowed are 100 MB")), "{ended:?}");

    let other = tempfile::tempdir().unwrap();
    let brief = children(other.path(), Limits { time: Duration::ZERO, ..AMPLE });
    brief.start("job", &order("sleep")).unwrap();
    let ended = wait_for(&brief, |look| matches!(look, Look::Ended(_)));
    assert!(matches!(&ended, Look::Ended(Err(why)) if why.contains("longer than")), "{ended:?}");
    brief.reopen("job").unwrap();
    assert!(matches!(brief.look::<u32, usize>("job").unwrap(), Look::Idle(_)));
}

#[test]
fn a_clock_that_was_set_ends_no_child_and_the_time_that_passed_does() {
    let home = tempfile::tempdir().unwrap();
    let jobs = children(home.path(), AMPLE);
    jobs.start("job", &order("sleep")).unwrap();
    wait_for(&jobs, |look| *look == Look::Working(Some(5)));
    let lock = home.path().join("job/lock");
    let mut identity: Value = serde_json::from_slice(&std::fs::read(&lock).unwrap()).unwrap();
    let rewrite = |identity: &Value| std::fs::write(&lock, identity.to_string()).unwrap();

    // What the lock says if the system's clock was years behind when the child began.
    let began = identity["since"].take().as_u64().unwrap();
    identity["since"] = Value::from(0);
    rewrite(&identity);
    assert_eq!(jobs.look::<u32, usize>("job").unwrap(), Look::Working(Some(5)));

    // What a child of an older version says.
    let old = json!({ "pid": identity["pid"], "since": began });
    rewrite(&old);
    assert_eq!(jobs.look::<u32, usize>("job").unwrap(), Look::Working(Some(5)));

    // The clock that counts here begins at the machine's start, which may be a moment ago.
    let brief = children(home.path(), Limits { time: Duration::ZERO, ..AMPLE });
    identity["started"]["seconds"] = Value::from(0);
    identity["since"] = Value::from(u64::MAX >> 1);
    rewrite(&identity);
    let ended = brief.look::<u32, usize>("job").unwrap();
    assert!(matches!(&ended, Look::Ended(Err(why)) if why.contains("longer than")), "{ended:?}");
}
