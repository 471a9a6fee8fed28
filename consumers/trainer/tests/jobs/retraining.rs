//! What follows where what serves was trained with something else than what there is now.

use chrono::{TimeDelta, Utc};
use twin_registry::{
    By, DeploymentState, EvaluationOutcome, Ingredients, JobOutcome, JobQueue, NewDataset, NewModel, RETRAINING,
    Registry,
};
use twin_schemas::{DatasetId, DatasetReady, ModelId, Verdict};
use twin_stream::{Handler, Message};
use twin_telemetry::{MetricsRegistry, gather_text};
use twin_trainer::{Metrics, OnChange, Options, Retrainings, Trigger};
use twin_training::Recipe;

use crate::support::*;

/// A version of the author that serves, of the base model of `queue`.
async fn served(registry: &Registry, queue: &JobQueue) -> ModelId {
    let job = queue.train(&ada(), &dataset(), &Recipe::default()).await.unwrap().job;
    registry.start_job(&job, at()).await.unwrap();
    let made = JobOutcome::Succeeded(Some(NewModel { manifest: "sha256:m".into() }));
    let model = registry.finish_job(&job, 1, made, at()).await.unwrap().unwrap();
    registry.queue_evaluation(&model, at()).await.unwrap();
    registry.start_evaluation(&model, at()).await.unwrap();
    let (verdict, report, page) = (Verdict::Passed, "sha256:r".to_owned(), "sha256:p".to_owned());
    let outcome = EvaluationOutcome { verdict, grounded: true, report, page };
    registry.finish_evaluation(&model, 1, outcome, at()).await.unwrap();
    registry.approve(&model, By::new("grace", "", at())).await.unwrap();
    model
}

/// Jobs of another base model.
fn of_another_base(registry: &Registry) -> JobQueue {
    JobQueue::new(registry.clone(), "another", Recipe::default())
}

/// What looks, with that policy, and the figures that it shows.
fn retrainings(registry: &Registry, queue: &JobQueue, policy: OnChange) -> (Retrainings, MetricsRegistry) {
    let shown = MetricsRegistry::new();
    let options = Options { retrain_on_change: policy, automatic: true, ..Options::default() };
    let metrics = Metrics::new(&shown).unwrap();
    (Retrainings::new(registry.clone(), queue.clone(), &options, metrics), shown)
}

/// Authors to whom a retraining is offered since that has changed.
fn offered(shown: &MetricsRegistry, changed: &str) -> u64 {
    let (text, name) =
        (gather_text(shown).unwrap(), format!("twin_trainer_retraining_offers{{changed=\"{changed}\"}} "));
    text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

#[tokio::test]
async fn another_base_model_trains_nobody_by_itself_and_is_counted_until_somebody_takes_the_offer() {
    let f = fixture(Fate::Runs(1)).await;
    let registry = &f.parts.registry;
    let model = served(registry, &f.queue).await;
    let (same, _) = retrainings(registry, &f.queue, OnChange::Offer);
    assert_eq!(same.look().await.unwrap(), 0, "nothing has changed");

    let queue = of_another_base(registry);
    let (looks, shown) = retrainings(registry, &queue, OnChange::Offer);
    for _ in 0..3 {
        assert_eq!(looks.look().await.unwrap(), 1);
    }
    assert_eq!((offered(&shown, "base"), offered(&shown, "prompts")), (1, 0));
    assert_eq!(registry.newest_jobs(None, None, 9).await.unwrap().len(), 1, "nobody is trained by that");
    queue.retrain(&ada(), "grace").await.unwrap();
    assert_eq!((looks.look().await.unwrap(), offered(&shown, "base")), (0, 0), "it is taken");
    let serving = registry.production(&ada()).await.unwrap().unwrap();
    assert_eq!((serving.model, serving.state), (Some(model), DeploymentState::Requested), "what serves goes on");
}

#[tokio::test]
async fn a_key_has_every_such_author_trained_once() {
    let f = fixture(Fate::Runs(1)).await;
    let registry = &f.parts.registry;
    served(registry, &f.queue).await;
    let queue = of_another_base(registry);
    let (looks, shown) = retrainings(registry, &queue, OnChange::Train);
    for _ in 0..3 {
        assert_eq!(looks.look().await.unwrap(), 0);
    }
    let jobs = registry.open_jobs().await.unwrap();
    assert_eq!((jobs.len(), jobs[0].base.as_str(), offered(&shown, "base")), (1, "another", 0));
    registry.cancel_job(&jobs[0].job, "grace", at()).await.unwrap();
    looks.look().await.unwrap();
    assert!(registry.open_jobs().await.unwrap().is_empty(), "what somebody has stopped is not begun again");
}

#[tokio::test]
async fn a_version_that_was_asked_for_to_be_trained_on_is_though_nothing_is_trained_by_itself() {
    let f = fixture(Fate::Runs(1)).await;
    let registry = &f.parts.registry;
    let now = Ingredients { prompts: Some("2/3x1600".into()), ..f.queue.ingredients().clone() };
    let queue = f.queue.clone().with_ingredients(now);
    let by_hand = Trigger::new(queue, &Options { automatic: false, ..Options::default() });
    for (name, reason, jobs) in [("b", "requested", 0), ("c", RETRAINING, 1)] {
        let wanted = NewDataset {
            dataset: DatasetId(name.repeat(64)),
            author: ada(),
            manifest: "sha256:manifest".into(),
            training_samples: 20,
            counts: Default::default(),
            prompts: Some("2/3x1600".into()),
            reason: reason.into(),
            members: Vec::new(),
        };
        registry.add_dataset(wanted, Utc::now() + TimeDelta::seconds(jobs)).await.unwrap();
        let message = ready(0);
        let payload = message.payload.map(|ready| DatasetReady { dataset: DatasetId(name.repeat(64)), ..ready });
        by_hand.handle(vec![Message { payload, ..ready(0) }]).await;
        assert_eq!(registry.open_jobs().await.unwrap().len(), jobs as usize, "{reason}");
    }
}
