//! Jobs from the queue to their end, with a runner whose jobs end as the test says.

mod retraining;
mod support;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::Utc;

use twin_jobs::Queue;
use twin_registry::{JobProgress, JobQueue, JobState, Metric};
use twin_stream::{Handler, Outcome};
use twin_trainer::{Keep, Options, TrainingReport, Trigger};
use twin_training::{Base, Recipe, Sweep};

use support::*;

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
    f.runner.all(Fate::Succeeds(1.5));
    f.looks(2).await;
    let done = f.job().await;
    assert_eq!((done.state, done.attempts), (JobState::Succeeded, 1));
    let manifest = f.parts.registry.model_manifest(&f.parts.artifacts, &done.model.unwrap()).await.unwrap();
    assert_eq!((manifest.evaluation_loss, manifest.curves.len()), (Some(1.5), 3));
    assert_eq!(manifest.merged.unwrap()[0].path, "config.json");
    let submitted = f.runner.submitted();
    assert_eq!((submitted.len(), submitted[0].keep), (1, Keep::Merged));
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
    assert_eq!(f.runner.submitted().len(), 2);
}

#[tokio::test]
async fn a_job_fails_with_its_reason_and_can_be_tried_again() {
    let mut f = fixture(Fate::Fails("the model's files hold no tensor `x`")).await;
    let job = f.queue.train(&ada(), &dataset(), &Recipe::default()).await.unwrap().job;
    f.looks(2).await;
    assert_eq!(f.job().await.reason.as_deref(), Some("the model's files hold no tensor `x`"));
    assert!(f.parts.registry.retry_job(&job, Utc::now()).await.unwrap());
    f.runner.all(Fate::Succeeds(1.0));
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
    assert!(matches!(f.runner.fates.lock().unwrap().get(&job.0), Some(Fate::Dies)), "its process was ended");
}

#[tokio::test]
async fn a_job_whose_process_can_not_be_ended_is_cancelled_when_it_is_gone() {
    let mut f = fixture(Fate::Runs(1)).await;
    let job = f.queue.train(&ada(), &dataset(), &Recipe::default()).await.unwrap().job;
    f.looks(1).await;
    f.runner.stubborn.store(2, Ordering::Relaxed);
    assert!(f.parts.registry.cancel_job(&job, "grace", at()).await.unwrap());
    f.looks(2).await;
    assert_eq!(f.job().await.state, JobState::Running, "its process is there");
    f.looks(1).await;
    assert_eq!(f.job().await.state, JobState::Cancelled);
}

#[tokio::test]
async fn a_job_that_another_supervisor_follows_is_left_to_it_though_its_folder_is_not_here() {
    let mut f = fixture(Fate::Runs(1)).await;
    f.queue.train(&ada(), &dataset(), &Recipe::default()).await.unwrap();
    f.looks(2).await;
    // A second supervisor, on another machine: its runner knows nothing of the job.
    let elsewhere = f.parts.scripted(Fate::Dies).await;
    let mut second = f.parts.supervisor("two", elsewhere.clone(), 1).await;
    for _ in 0..5 {
        second.look().await.unwrap();
        f.looks(1).await;
    }
    assert_eq!((f.job().await.state, f.job().await.attempts), (JobState::Running, 1));
    assert!(elsewhere.submitted().is_empty());

    // The first stands still: its lease passes, and the job goes on with the second.
    let first = std::mem::replace(&mut f.supervisor, f.parts.supervisor("three", elsewhere.clone(), 1).await);
    drop(first);
    let deadline = Instant::now() + Duration::from_secs(30);
    while elsewhere.submitted().is_empty() {
        assert!(Instant::now() < deadline, "the job was not taken over");
        second.look().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!((f.job().await.state, f.job().await.attempts), (JobState::Running, 2));
    assert_eq!(elsewhere.submitted()[0].checkpoint, Some(checkpoint()), "it goes on from what the first one had done");
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
    let fingerprint = Base::open(&other).unwrap().fingerprint;
    let queue = JobQueue::new(f.parts.registry.clone(), &fingerprint, Recipe::default());
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
    f.runner.fates.lock().unwrap().insert(best.job.0.clone(), Fate::Succeeds(1.0));
    f.runner.fates.lock().unwrap().insert(trials[3].job.0.clone(), Fate::Fails("too large"));
    f.looks(12).await;
    assert!(f.parts.registry.newest_models(None, 9).await.unwrap().is_empty());
    assert!(f.runner.submitted().iter().all(|order| order.keep == Keep::Measurements));
    let chosen = f.parts.registry.recipe(&ada()).await.unwrap().unwrap();
    assert_eq!(chosen.recipe, best.recipe);
    assert!(chosen.origin.contains("evaluation loss 1.0000"), "{}", chosen.origin);
    assert_eq!(f.queue.recipe_of(&ada()).await.unwrap().canonical(), best.recipe);
    // A recipe that is set later stays.
    f.parts.registry.set_recipe(&ada(), &trials[0].recipe, "grace", Utc::now()).await.unwrap();
    f.looks(2).await;
    assert_eq!(f.parts.registry.recipe(&ada()).await.unwrap().unwrap().origin, "grace");
}

#[tokio::test]
async fn a_trial_is_judged_by_the_weights_that_it_keeps() {
    let mut f = fixture(Fate::Succeeds(2.0)).await;
    // With patience the weights of the lowest loss are kept, without it the last.
    let sweep = "search = \"grid\"\ntrials = 2\n[recipe]\neval_every = 1\n[values]\npatience = [0, 3]\n";
    let trials = f.queue.sweep(&ada(), &dataset(), &Sweep::from_toml(sweep).unwrap()).await.unwrap();
    for (trial, early) in trials.iter().zip([0.5, 1.5]) {
        let early = Metric { name: "evaluation_loss".into(), step: 3, value: early };
        f.parts.registry.add_metrics(&trial.job, vec![early]).await.unwrap();
    }
    f.looks(8).await;
    let chosen = f.parts.registry.recipe(&ada()).await.unwrap().unwrap();
    assert_eq!(chosen.recipe, trials[1].recipe);
    assert!(chosen.origin.contains("evaluation loss 1.5000"), "{}", chosen.origin);
}

#[tokio::test]
async fn a_job_that_gives_way_to_a_store_that_is_away_goes_on_however_long_that_takes_and_is_not_counted() {
    let mut f = fixture(Fate::GivesWay).await;
    f.queue.train(&ada(), &dataset(), &Recipe::default()).await.unwrap();
    // Far more often than a job is started that dies.
    f.looks_until("started ten times", |runner| runner.submitted().len() == 10).await;
    assert_eq!((f.job().await.state, f.job().await.attempts), (JobState::Running, 1));
    f.runner.all(Fate::Dies);
    f.looks(2).await;
    assert_eq!((f.job().await.state, f.job().await.attempts), (JobState::Running, 2), "a death is counted");
    f.runner.all(Fate::Succeeds(1.0));
    f.looks(2).await;
    assert_eq!((f.job().await.state, f.job().await.attempts), (JobState::Succeeded, 2));
}

#[tokio::test]
async fn a_job_that_gives_way_is_not_started_again_before_a_pause_and_can_be_cancelled() {
    let mut f = fixture(Fate::GivesWay).await;
    let job = f.queue.train(&ada(), &dataset(), &Recipe::default()).await.unwrap().job;
    let begun = Instant::now();
    f.looks_until("started three times", |runner| runner.submitted().len() == 3).await;
    assert!(begun.elapsed() >= Duration::from_millis(5 + 10), "two pauses, the second twice as long");
    assert!(f.parts.registry.cancel_job(&job, "grace", at()).await.unwrap());
    f.looks(2).await;
    let cancelled = f.job().await;
    assert_eq!((cancelled.state, cancelled.reason.as_deref()), (JobState::Cancelled, Some("cancelled by grace")));
}

#[tokio::test]
async fn a_runner_that_is_away_is_asked_again_for_the_same_attempt_and_a_death_after_that_is_counted() {
    let mut f = fixture(Fate::Dies).await;
    f.runner.away.store(5, Ordering::Relaxed);
    f.queue.train(&ada(), &dataset(), &Recipe::default()).await.unwrap();
    f.looks_until("the runner takes the job", |runner| runner.submitted().len() == 1).await;
    assert_eq!((f.job().await.state, f.job().await.attempts), (JobState::Running, 1));
    f.looks(2).await;
    assert_eq!((f.job().await.state, f.job().await.attempts), (JobState::Running, 2));
}

#[tokio::test]
async fn while_the_artifact_store_is_away_a_job_that_waits_costs_no_write() {
    let mut f = fixture(Fate::Runs(1)).await;
    f.queue.train(&ada(), &dataset(), &Recipe::default()).await.unwrap();
    f.parts.move_artifacts("artifacts", "away");
    let steps = f.parts.registry.state(&ada()).await.unwrap().number;
    for _ in 0..50 {
        f.supervisor.look().await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(f.parts.lease_writes.load(Ordering::Relaxed), 0);
    assert_eq!(f.parts.registry.state(&ada()).await.unwrap().number, steps);
    assert_eq!((f.job().await.state, f.job().await.attempts), (JobState::Queued, 0));

    f.parts.move_artifacts("away", "artifacts");
    f.looks_until("the job starts", |runner| runner.submitted().len() == 1).await;
    assert_eq!(f.job().await.attempts, 1);
}

#[tokio::test]
async fn as_many_jobs_run_at_once_as_are_allowed_and_the_next_begins_when_one_has_ended() {
    let mut f = fixture_with(Fate::Runs(1), 2).await;
    let mut jobs = Vec::new();
    for rank in [2, 4, 8] {
        let recipe = Recipe { rank, ..Recipe::default() };
        jobs.push(f.queue.train(&ada(), &dataset(), &recipe).await.unwrap().job);
    }
    f.looks(3).await;
    let started = |f: &Fixture| f.runner.submitted().into_iter().map(|order| order.job).collect::<Vec<_>>();
    assert_eq!(started(&f), jobs[..2]);
    // Oldest first, and one that fails keeps no other waiting.
    f.runner.fates.lock().unwrap().insert(jobs[1].0.clone(), Fate::Fails("too large"));
    f.looks(2).await;
    assert_eq!(started(&f), jobs);
    let running = f.parts.registry.newest_jobs(None, Some(JobState::Running), 9).await.unwrap();
    assert_eq!(running.len(), 2);
}

#[tokio::test]
async fn a_job_whose_order_can_not_be_made_for_a_while_keeps_no_other_waiting() {
    let f = fixture(Fate::Runs(1)).await;
    let mut jobs = Vec::new();
    for rank in [2, 4] {
        let recipe = Recipe { rank, ..Recipe::default() };
        jobs.push(f.queue.train(&ada(), &dataset(), &recipe).await.unwrap().job);
    }
    let unreadable = Arc::new(Mutex::new(Some(jobs[0].0.clone())));
    let queue = OneUnreadable { jobs: f.parts.training_jobs(), unreadable: unreadable.clone() };
    let mut supervisor = f.parts.supervisor_of(queue, "two", f.runner.clone(), 2).await;
    let started = || f.runner.submitted().into_iter().map(|order| order.job).collect::<Vec<_>>();
    supervisor.look().await.unwrap();
    assert_eq!(started(), jobs[1..], "the oldest waits, the next does not");

    *unreadable.lock().unwrap() = None;
    let deadline = Instant::now() + Duration::from_secs(30);
    while started().len() < 2 {
        assert!(Instant::now() < deadline, "the oldest never starts");
        supervisor.look().await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(started(), [jobs[1].clone(), jobs[0].clone()]);
}

#[tokio::test]
async fn what_a_supervisor_reports_that_stood_still_replaces_nothing_of_a_newer_attempt() {
    let mut f = fixture(Fate::Runs(3)).await;
    f.queue.train(&ada(), &dataset(), &Recipe::default()).await.unwrap();
    f.looks(1).await;
    let (jobs, late) = (f.parts.training_jobs(), f.parts.training_jobs().open().await.unwrap().remove(0));
    f.parts.registry.requeue_job(&late.row.job, 1, "its process was gone", at()).await.unwrap();
    assert_eq!(f.parts.registry.start_job(&late.row.job, at()).await.unwrap(), Some(2));
    let newer = jobs.open().await.unwrap().remove(0);
    let report = |step, value| TrainingReport {
        progress: JobProgress { step, steps: 9, ..JobProgress::default() },
        metrics: vec![Metric { name: "loss".into(), step: 4, value }],
    };
    jobs.report(&newer, &report(4, 1.0), None).await.unwrap();
    jobs.report(&late, &report(5, 2.0), None).await.unwrap();
    assert_eq!(f.job().await.progress.map(|progress| progress.step), Some(4));
    let kept = f.parts.registry.metrics(&late.row.job).await.unwrap();
    assert_eq!(kept.iter().map(|metric| metric.value).collect::<Vec<_>>(), [1.0]);
}
