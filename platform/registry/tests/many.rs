//! The registry with many who use it: workers, supervisors that take over from each other, several processes.

mod support;

use support::{ada, at, dataset, evaluated, fixture, job, outcome, report};
use twin_registry::rules::WorkerReport;
use twin_registry::{
    By, DeploymentState, EvaluationState, Interest, JobOutcome, JobProgress, JobState, NewDataset, NewJob, NewModel,
};
use twin_schemas::{DatasetId, Verdict};
use twin_sqlite::Database;

#[tokio::test]
async fn a_deployment_that_one_worker_can_not_take_up_is_not_failed_for_the_others() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let model = evaluated(registry, "1", Verdict::Passed).await;
    registry.approve(&model, By::new("grace", "", at(6))).await.unwrap();
    let both = |worker: &str, outcome| {
        let alive = ["one", "two"].map(str::to_owned).into();
        WorkerReport { alive, ..report(1, worker, outcome) }
    };
    let full = "no space left on device";
    registry.report_deployment(&ada(), both("one", Err(full)), at(7)).await.unwrap();
    let state = |row: Option<twin_registry::DeploymentRow>| row.map(|row| row.state);
    assert_eq!(state(registry.production(&ada()).await.unwrap()), Some(DeploymentState::Requested));
    registry.report_deployment(&ada(), both("two", Ok(())), at(8)).await.unwrap();
    registry.report_deployment(&ada(), report(1, "one", Err(full)), at(9)).await.unwrap();
    assert_eq!(state(registry.production(&ada()).await.unwrap()), Some(DeploymentState::Serving));

    registry.roll_back(&ada(), By::new("grace", "", at(10))).await.unwrap();
    let second = |worker: &str| WorkerReport { number: 2, ..both(worker, Err(full)) };
    registry.report_deployment(&ada(), second("one"), at(11)).await.unwrap();
    registry.report_deployment(&ada(), second("two"), at(12)).await.unwrap();
    let failed = &registry.deployments(&ada()).await.unwrap()[0];
    assert_eq!(
        (failed.state, failed.detail.as_deref()),
        (DeploymentState::Failed, Some(full)),
        "every live one failed"
    );
}

#[tokio::test]
async fn a_worker_that_died_is_not_waited_for() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let model = evaluated(registry, "1", Verdict::Passed).await;
    registry.approve(&model, By::new("grace", "", at(6))).await.unwrap();
    let with = |alive: &[&str]| {
        let alive = alive.iter().map(|worker| (*worker).to_owned()).collect();
        WorkerReport { alive, ..report(1, "one", Err("no")) }
    };
    registry.report_deployment(&ada(), with(&["one", "two"]), at(7)).await.unwrap();
    assert!(registry.production(&ada()).await.unwrap().is_some(), "the other may yet take it up");
    registry.report_deployment(&ada(), with(&["one"]), at(8)).await.unwrap();
    assert_eq!(registry.production(&ada()).await.unwrap(), None);
    assert!(registry.productions().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_attempt_that_was_given_up_changes_nothing_when_it_comes_back() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    registry.add_dataset(dataset("a"), at(0)).await.unwrap();
    registry.queue_job(job("1"), at(1)).await.unwrap();
    let id = job("1").job;
    registry.start_job(&id, at(2)).await.unwrap();
    registry.requeue_job(&id, 1, "its process was gone", at(3)).await.unwrap();
    assert_eq!(registry.start_job(&id, at(4)).await.unwrap(), Some(2));
    registry.finish_job(&id, 1, JobOutcome::Failed("late".into()), at(5)).await.unwrap();
    registry.requeue_job(&id, 1, "late", at(5)).await.unwrap();
    assert_eq!(registry.job(&id.0).await.unwrap().unwrap().state, JobState::Running);
    let made = JobOutcome::Succeeded(Some(NewModel { manifest: "m".into() }));
    let model = registry.finish_job(&id, 2, made, at(6)).await.unwrap().unwrap();

    registry.queue_evaluation(&model, at(7)).await.unwrap();
    registry.start_evaluation(&model, at(8)).await.unwrap();
    assert_eq!(registry.start_evaluation(&model, at(9)).await.unwrap(), None, "it has begun");
    registry.requeue_evaluation(&model, 1, "its process was gone", at(9)).await.unwrap();
    assert_eq!(registry.start_evaluation(&model, at(9)).await.unwrap(), Some(2), "begun again after a death");
    registry.requeue_evaluation(&model, 1, "late", at(10)).await.unwrap();
    registry.fail_evaluation(&model, 1, "late", at(10)).await.unwrap();
    registry.finish_evaluation(&model, 1, outcome(Verdict::Passed, "r"), at(10)).await.unwrap();
    assert_eq!(registry.evaluation(&model).await.unwrap().unwrap().state, EvaluationState::Running);
}

#[tokio::test]
async fn two_registries_over_one_store_give_a_number_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("twin.db");
    let registries = [
        twin_sqlite::registry(Database::open(&path).unwrap()).await.unwrap(),
        twin_sqlite::registry(Database::open(&path).unwrap()).await.unwrap(),
    ];
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let registry = registries[number % 2].clone();
        let new = NewDataset { dataset: DatasetId(format!("{number:064}")), ..dataset("a") };
        tasks.spawn(async move { registry.add_dataset(new, at(0)).await.unwrap().number });
    }
    let mut numbers = tasks.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    assert_eq!(registries[0].state(&ada()).await.unwrap(), registries[1].state(&ada()).await.unwrap());
}

#[tokio::test]
async fn a_step_wakes_who_is_meant_and_nobody_else() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let jobs = registry.changes(Interest::Jobs);
    let others = [Interest::Freezes, Interest::Evaluations, Interest::Deployments].map(|who| registry.changes(who));
    registry.queue_job(job("1"), at(0)).await.unwrap();
    assert!(jobs.has_changed().unwrap());
    let jobs = registry.changes(Interest::Jobs);
    registry.start_job(&job("1").job, at(1)).await.unwrap();
    registry.note_job_progress(&job("1").job, 1, JobProgress::default()).await.unwrap();
    assert!(!jobs.has_changed().unwrap(), "who follows a job is not woken by what it writes itself");
    assert!(others.iter().all(|other| !other.has_changed().unwrap()));
}

#[tokio::test]
async fn a_sweep_is_concluded_once_and_again_when_a_trial_is_done_again() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let trial = |name: &str| NewJob { sweep: Some("s/0".into()), ..job(name) };
    for name in ["1", "2"] {
        registry.queue_job(trial(name), at(0)).await.unwrap();
    }
    let sweep = registry.open_sweeps().await.unwrap().remove(0);
    let found = Some(("recipe".to_owned(), "sweep".to_owned()));
    assert!(!registry.conclude_sweep(&sweep, found.clone(), at(1)).await.unwrap(), "trials are open");
    for name in ["1", "2"] {
        let id = trial(name).job;
        let attempt = registry.start_job(&id, at(2)).await.unwrap().unwrap();
        registry.finish_job(&id, attempt, JobOutcome::Failed("no".into()), at(3)).await.unwrap();
    }
    assert!(registry.conclude_sweep(&sweep, found, at(4)).await.unwrap());
    assert!(registry.open_sweeps().await.unwrap().is_empty());
    assert_eq!(registry.recipe(&ada()).await.unwrap().unwrap().recipe, "recipe");
    registry.retry_job(&trial("1").job, at(5)).await.unwrap();
    assert_eq!(registry.open_sweeps().await.unwrap().len(), 1);
}
