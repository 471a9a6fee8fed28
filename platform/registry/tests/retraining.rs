//! What serves goes on when the base model or the prompts change, and a retraining is offered until one is made.

mod support;

use support::{Fixture, ada, at, dataset, evaluated, fixture, ingredients, job, outcome};
use twin_registry::{
    By, Change, Ingredients, JobOutcome, JobQueue, NewDataset, NewModel, RETRAINING, Retraining, Stage, Taken,
};
use twin_schemas::{ModelId, Verdict};
use twin_training::Recipe;

const OFFERED: Stage = Stage::Offered { version_first: false };

/// Another base model than that of [`job`].
fn other_base() -> Ingredients {
    Ingredients { bases: vec!["other".into()], ..ingredients() }
}

/// A version whose prompts have that form.
fn version(name: &str, prompts: &str) -> NewDataset {
    NewDataset { prompts: Some(prompts.into()), ..dataset(name) }
}

/// Jobs of those ingredients.
fn queue(fixture: &Fixture, now: Ingredients) -> JobQueue {
    JobQueue::new(fixture.registry.clone(), &now.bases[0], Recipe::default()).with_ingredients(now)
}

/// An author whose version `ada-v1` serves.
async fn served(fixture: &Fixture) -> ModelId {
    let model = evaluated(&fixture.registry, "1", Verdict::Passed).await;
    fixture.registry.approve(&model, By::new("grace", "", at(6))).await.unwrap();
    model
}

async fn found(fixture: &Fixture, now: &Ingredients) -> Option<Retraining> {
    fixture.registry.retraining(&ada(), now).await.unwrap()
}

async fn stage(fixture: &Fixture, now: &Ingredients) -> Stage {
    found(fixture, now).await.unwrap().stage
}

/// Whether somebody has to do something before it goes on, and what is said.
async fn held_back(fixture: &Fixture, now: &Ingredients) -> String {
    match stage(fixture, now).await {
        Stage::HeldBack(why) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_is_offered_where_no_version_serves_or_where_it_is_of_what_there_is() {
    let fixture = fixture().await;
    assert_eq!(found(&fixture, &other_base()).await, None);
    let model = evaluated(&fixture.registry, "1", Verdict::Passed).await;
    assert_eq!(found(&fixture, &other_base()).await, None, "{model} does not serve");
    fixture.registry.approve(&model, By::new("grace", "", at(6))).await.unwrap();
    assert_eq!(found(&fixture, &ingredients()).await, None);
    let by_its_old_name = Ingredients { bases: vec!["now".into(), "base".into()], prompts: None };
    assert_eq!(found(&fixture, &by_its_old_name).await, None);
    fixture.registry.roll_back(&ada(), By::new("grace", "", at(7))).await.unwrap();
    assert_eq!(found(&fixture, &other_base()).await, None, "the base model serves");
    assert!(fixture.registry.retrainings(&other_base()).await.unwrap().is_empty());
}

#[tokio::test]
async fn another_base_model_is_offered_until_a_job_of_it_has_made_what_serves() {
    let fixture = fixture().await;
    let (registry, model) = (&fixture.registry, served(&fixture).await);
    let now = other_base();
    let offered = found(&fixture, &now).await.unwrap();
    assert_eq!((offered.model, offered.changed, offered.stage), (model, vec![Change::Base], OFFERED));
    assert_eq!(registry.retrainings(&now).await.unwrap().len(), 1);

    let queue = queue(&fixture, now.clone());
    let Some(Taken::Job(job)) = queue.retrain(&ada(), "grace").await.unwrap() else { panic!("it is on a version") };
    assert_eq!((job.base.as_str(), &job.dataset), ("other", &dataset("a").dataset));
    assert!(matches!(stage(&fixture, &now).await, Stage::Waits(_)));
    assert_eq!(queue.retrain(&ada(), "linus").await.unwrap(), None, "it is taken once");
    registry.start_job(&job.job, at(10)).await.unwrap();
    assert!(matches!(stage(&fixture, &now).await, Stage::UnderWay(_)));

    registry.finish_job(&job.job, 1, JobOutcome::Failed("no room".into()), at(11)).await.unwrap();
    let why = held_back(&fixture, &now).await;
    assert!(why.contains("no room") && why.contains("twin jobs retry"), "{why}");
    assert!(queue.retrain(&ada(), "policy").await.is_err(), "no policy tries it for ever");
    registry.retry_job(&job.job, at(12)).await.unwrap();
    registry.start_job(&job.job, at(13)).await.unwrap();
    let made = JobOutcome::Succeeded(Some(NewModel { manifest: "sha256:n".into() }));
    let second = registry.finish_job(&job.job, 2, made, at(14)).await.unwrap().unwrap();
    assert!(matches!(stage(&fixture, &now).await, Stage::Waits(_)));
    registry.queue_evaluation(&second, at(15)).await.unwrap();
    registry.start_evaluation(&second, at(15)).await.unwrap();
    assert!(matches!(stage(&fixture, &now).await, Stage::UnderWay(_)));
    registry.finish_evaluation(&second, 1, outcome(Verdict::Passed, "sha256:r"), at(16)).await.unwrap();
    assert!(matches!(stage(&fixture, &now).await, Stage::Waits(_)));
    registry.approve(&second, By::new("grace", "", at(17))).await.unwrap();
    assert_eq!(found(&fixture, &now).await, None);
}

#[tokio::test]
async fn what_did_not_pass_is_not_offered_again_before_there_is_another_version_to_train_on() {
    let fixture = fixture().await;
    served(&fixture).await;
    let (registry, now) = (&fixture.registry, other_base());
    let queue = queue(&fixture, now.clone());
    queue.retrain(&ada(), "grace").await.unwrap();
    let job = registry.open_jobs().await.unwrap().remove(0).job;
    registry.start_job(&job, at(10)).await.unwrap();
    let made = JobOutcome::Succeeded(Some(NewModel { manifest: "sha256:n".into() }));
    let second = registry.finish_job(&job, 1, made, at(11)).await.unwrap().unwrap();
    registry.queue_evaluation(&second, at(12)).await.unwrap();
    registry.start_evaluation(&second, at(12)).await.unwrap();
    registry.finish_evaluation(&second, 1, outcome(Verdict::Failed, "sha256:r"), at(13)).await.unwrap();
    let why = held_back(&fixture, &now).await;
    assert!(why.contains(&format!("{second} did not pass")) && why.contains("--recipe"), "{why}");
    registry.reject(&second, By::new("grace", "", at(14))).await.unwrap();
    assert!(held_back(&fixture, &now).await.contains("was rejected"));
    registry.add_dataset(dataset("b"), at(15)).await.unwrap();
    assert_eq!(stage(&fixture, &now).await, OFFERED);
    // What fails on the newest version stays told, whatever is tried on the one before after that.
    let Some(Taken::Job(job)) = queue.retrain(&ada(), "grace").await.unwrap() else { panic!("it is on a version") };
    assert!(registry.cancel_job(&job.job, "grace", at(16)).await.unwrap());
    let again = Recipe { rank: 2, ..Recipe::default() };
    let on_first = queue.train(&ada(), &dataset("a").dataset, &again).await.unwrap().job;
    assert!(matches!(stage(&fixture, &now).await, Stage::Waits(_)));
    assert!(registry.cancel_job(&on_first, "grace", at(17)).await.unwrap());
    assert!(held_back(&fixture, &now).await.contains(job.job.short()));
}

#[tokio::test]
async fn a_model_of_before_that_may_serve_is_named_when_the_base_model_is_changed_back() {
    let fixture = fixture().await;
    let first = served(&fixture).await;
    let registry = &fixture.registry;
    queue(&fixture, other_base()).retrain(&ada(), "grace").await.unwrap();
    let job = registry.open_jobs().await.unwrap().remove(0).job;
    registry.start_job(&job, at(10)).await.unwrap();
    let made = JobOutcome::Succeeded(Some(NewModel { manifest: "sha256:n".into() }));
    let second = registry.finish_job(&job, 1, made, at(11)).await.unwrap().unwrap();
    registry.queue_evaluation(&second, at(12)).await.unwrap();
    registry.start_evaluation(&second, at(12)).await.unwrap();
    registry.finish_evaluation(&second, 1, outcome(Verdict::Passed, "sha256:r"), at(13)).await.unwrap();
    registry.approve(&second, By::new("grace", "", at(14))).await.unwrap();
    assert!(held_back(&fixture, &ingredients()).await.contains(&format!("twin models deploy {first}")));
}

#[tokio::test]
async fn prompts_of_another_form_need_a_version_which_is_then_trained_on() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    registry.add_dataset(version("a", "1/3x1600"), at(0)).await.unwrap();
    served(&fixture).await;
    let now = Ingredients { prompts: Some("2/3x1600".into()), ..ingredients() };
    let offered = found(&fixture, &now).await.unwrap();
    assert_eq!((offered.changed, offered.stage), (vec![Change::Prompts], Stage::Offered { version_first: true }));

    let queue = queue(&fixture, now.clone());
    // Who wants a version alone does not keep another from having it trained on.
    registry.request_freeze(&ada(), "linus", at(10)).await.unwrap();
    let Some(Taken::Version(request)) = queue.retrain(&ada(), "grace").await.unwrap() else {
        panic!("a version first")
    };
    assert!(request.retrain && request.outcome.is_none() && request.requested_by == "grace", "{request:?}");
    registry.request_freeze(&ada(), "linus", at(11)).await.unwrap();
    assert_eq!(registry.freeze_request(&ada()).await.unwrap(), Some(request), "an open wish stays");
    assert!(matches!(stage(&fixture, &now).await, Stage::UnderWay(_)));

    // A wish that is asked for now is later than versions of the test's own time.
    registry.answer_freeze(&ada(), Err("too few samples"), at(12)).await.unwrap();
    assert!(held_back(&fixture, &now).await.contains("too few samples"));
    assert!(queue.retrain(&ada(), "policy").await.is_err(), "no policy asks for ever");

    let later = chrono::Utc::now() + chrono::TimeDelta::seconds(60);
    let wanted = NewDataset { reason: RETRAINING.into(), ..version("b", "2/3x1600") };
    registry.add_dataset(wanted, later).await.unwrap();
    assert!(queue.is_for_retraining(&dataset("b").dataset).await.unwrap());
    assert!(!queue.is_for_retraining(&dataset("a").dataset).await.unwrap());
    assert_eq!(stage(&fixture, &now).await, OFFERED);
    let Some(Taken::Job(job)) = queue.retrain(&ada(), "grace").await.unwrap() else { panic!("the version is there") };
    assert_eq!((&job.dataset, job.base.as_str()), (&dataset("b").dataset, "base"));
}

#[tokio::test]
async fn a_version_of_before_prompts_were_noted_has_older_ones() {
    let fixture = fixture().await;
    fixture.registry.add_dataset(NewDataset { prompts: None, ..dataset("a") }, at(0)).await.unwrap();
    served(&fixture).await;
    let offered = found(&fixture, &ingredients()).await.unwrap();
    assert_eq!((offered.changed, offered.stage), (vec![Change::Prompts], Stage::Offered { version_first: true }));
    let by_base_alone = Ingredients { prompts: None, ..ingredients() };
    assert_eq!(found(&fixture, &by_base_alone).await, None, "nobody looks at prompts");
}

#[tokio::test]
async fn a_job_on_prompts_of_before_is_no_retraining() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    registry.add_dataset(version("a", "1/3x1600"), at(0)).await.unwrap();
    served(&fixture).await;
    let now = Ingredients { bases: vec!["other".into()], prompts: Some("2/3x1600".into()) };
    let on_old = twin_registry::NewJob { base: "other".into(), ..job("2") };
    assert!(registry.queue_job(on_old, at(10)).await.unwrap());
    let offered = found(&fixture, &now).await.unwrap();
    assert_eq!(offered.changed, [Change::Base, Change::Prompts]);
    assert_eq!(offered.stage, Stage::Offered { version_first: true });
}

#[test]
fn steps_of_before_prompts_were_noted_are_read() {
    use twin_registry::rules::Step;
    let asked = serde_json::json!({"step": "freeze_requested", "by": "grace", "at": at(0)});
    assert!(matches!(serde_json::from_value(asked).unwrap(), Step::FreezeRequested { retrain: false, .. }));
    let added = serde_json::json!({
        "step": "dataset_added", "dataset": "a", "number": 1, "parent": null, "manifest": "m", "training_samples": 1,
        "counts": {}, "reason": "requested", "documents": 1, "at": at(0),
    });
    assert!(matches!(serde_json::from_value(added).unwrap(), Step::DatasetAdded { prompts: None, .. }));
}
