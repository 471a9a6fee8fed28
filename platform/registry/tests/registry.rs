//! The steps of the learning loop as the registry sees them.

mod support;

use support::{Fixture, ada, at, dataset, document, evaluated, evaluated_again, fixture, job, member, outcome, report};
use twin_artifacts::Artifacts;
use twin_registry::{
    Action, By, DeploymentState, EvaluationState, JobOutcome, JobProgress, JobState, MeasureChanges, Metric,
    ModelState, NewDataset, NewJob, NewModel, Registry, relay,
};
use twin_schemas::{DatasetManifest, ModelId, Split, Topic, Verdict};
use twin_stream::{StartAt, TopicPartition};

/// Ids of the events of a topic, in order.
async fn published(fixture: &Fixture, topic: Topic) -> Vec<String> {
    let mut relay = relay(fixture.registry.clone(), fixture.log.clone(), fixture.member.clone());
    while relay.publish_some().await.unwrap() > 0 {}
    let ends = fixture.log.watermarks(topic.name()).await.unwrap();
    if ends[&0].end == 0 {
        return Vec::new();
    }
    let partition = TopicPartition { topic: topic.name().into(), partition: 0 };
    let mut tail = fixture.log.tail(&partition, StartAt::Beginning).await.unwrap();
    let mut ids = Vec::new();
    while (ids.len() as u64) < ends[&0].end {
        for record in tail.next().await.unwrap() {
            ids.push(twin_schemas::Attributes::from_headers(&record.headers).unwrap().id);
        }
    }
    ids
}

#[tokio::test]
async fn a_dataset_is_numbered_announced_once_and_marked_when_a_document_goes() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let first = registry.add_dataset(dataset("a"), at(0)).await.unwrap();
    let again = registry.add_dataset(dataset("a"), at(9)).await.unwrap();
    assert_eq!(first, again);
    let second = registry.add_dataset(dataset("b"), at(1)).await.unwrap();
    assert_eq!((first.number, second.number, second.parent), (1, 2, Some(first.dataset.clone())));
    let ids = published(&fixture, Topic::Datasets).await;
    assert_eq!(ids, [format!("dataset/{}", first.dataset), format!("dataset/{}", second.dataset)]);

    registry.mark_deleted(document(2), at(2)).await.unwrap();
    let found = registry.dataset("aaaa").await.unwrap().unwrap();
    assert_eq!((found.documents, found.deleted_documents), (2, 1));
    assert_eq!(registry.dataset("").await.unwrap(), None, "two versions begin so");
    assert_eq!(registry.newest_dataset(&ada()).await.unwrap().unwrap().number, 2);
}

#[tokio::test]
async fn a_request_to_freeze_is_answered_once_and_can_be_made_again() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    registry.request_freeze(&ada(), "grace", at(0)).await.unwrap();
    registry.request_freeze(&ada(), "linus", at(1)).await.unwrap();
    let open = registry.open_freeze_requests().await.unwrap();
    assert_eq!((open.len(), open[0].requested_by.as_str()), (1, "grace"));
    registry.answer_freeze(&ada(), Err("too few samples"), at(1)).await.unwrap();
    assert!(registry.freeze_request(&ada()).await.unwrap().unwrap().refused);
    assert!(registry.open_freeze_requests().await.unwrap().is_empty());
    registry.request_freeze(&ada(), "linus", at(2)).await.unwrap();
    let again = &registry.open_freeze_requests().await.unwrap()[0];
    assert_eq!((again.requested_by.as_str(), again.refused), ("linus", false));
}

#[tokio::test]
async fn a_job_runs_once_however_often_it_is_asked_for() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    assert!(registry.queue_job(job("1"), at(0)).await.unwrap());
    assert!(!registry.queue_job(job("1"), at(1)).await.unwrap());
    let id = job("1").job;
    assert_eq!(registry.start_job(&id, at(2)).await.unwrap(), Some(1));
    assert_eq!(registry.start_job(&id, at(2)).await.unwrap(), None);
    let progress = JobProgress { step: 3, steps: 9, ..JobProgress::default() };
    assert!(registry.job("11").await.unwrap().unwrap().pending, "it has said nothing yet");
    registry.note_job_progress(&id, 1, progress.clone()).await.unwrap();
    let running = registry.job("11").await.unwrap().unwrap();
    assert_eq!((running.progress, running.pending), (Some(progress), false));

    let first =
        registry.finish_job(&id, 1, JobOutcome::Succeeded(Some(NewModel { manifest: "m".into() })), at(3)).await;
    let second = registry.finish_job(&id, 1, JobOutcome::Failed("late".into()), at(4)).await;
    assert_eq!(first.unwrap(), Some(ModelId("ada-v1".into())));
    assert_eq!(second.unwrap(), Some(ModelId("ada-v1".into())), "what has ended stays as it ended");
    assert!(!registry.queue_job(job("1"), at(5)).await.unwrap());
    assert!(!registry.retry_job(&id, at(9)).await.unwrap());
    assert_eq!(registry.newest_models(None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_job_that_failed_or_was_cancelled_can_be_tried_again() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    registry.queue_job(job("1"), at(0)).await.unwrap();
    let id = job("1").job;
    assert!(registry.cancel_job(&id, "grace", at(1)).await.unwrap());
    let cancelled = registry.job(&id.0).await.unwrap().unwrap();
    assert_eq!((cancelled.state, cancelled.reason.as_deref()), (JobState::Cancelled, Some("cancelled by grace")));
    assert!(registry.retry_job(&id, at(9)).await.unwrap());
    registry.start_job(&id, at(2)).await.unwrap();
    assert!(registry.cancel_job(&id, "grace", at(3)).await.unwrap());
    assert!(registry.open_jobs().await.unwrap()[0].cancel_requested, "a running job is asked to stop");
    registry.finish_job(&id, 1, JobOutcome::Failed("out of memory".into()), at(4)).await.unwrap();
    assert!(registry.retry_job(&id, at(9)).await.unwrap());
    let queued = registry.open_jobs().await.unwrap();
    assert_eq!((queued[0].attempts, queued[0].cancel_requested), (1, false));
}

#[tokio::test]
async fn values_of_a_step_that_is_done_again_replace_the_first() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let metric = |step, value| Metric { name: "loss".into(), step, value };
    registry.add_metrics(&job("1").job, vec![metric(1, 3.0), metric(2, 2.5)]).await.unwrap();
    registry.add_metrics(&job("1").job, vec![metric(2, 2.4)]).await.unwrap();
    assert_eq!(registry.metrics(&job("1").job).await.unwrap(), [metric(1, 3.0), metric(2, 2.4)]);
}

#[tokio::test]
async fn only_a_model_that_passed_and_was_approved_serves() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let bad = evaluated(registry, "1", Verdict::Failed).await;
    let refused = registry.approve(&bad, By::new("grace", "", at(6))).await.unwrap_err();
    assert!(refused.to_string().contains("did not pass"), "{refused}");
    assert!(!registry.approve_by_policy(&bad, at(6)).await.unwrap());

    let good = evaluated(registry, "2", Verdict::Passed).await;
    let refused = registry.deploy(&good, By::new("grace", "", at(6))).await.unwrap_err();
    assert!(refused.to_string().contains("nobody has approved it"), "{refused}");
    let deployed = registry.approve(&good, By::new("grace", "reads well", at(7))).await.unwrap();
    assert_eq!((deployed.number, deployed.model.as_ref()), (1, Some(&good)));
    let again = registry.approve(&good, By::new("grace", "twice", at(8))).await.unwrap();
    assert_eq!(again.number, 1, "what is in production is not deployed again");
    let refused = registry.reject(&good, By::new("grace", "", at(9))).await.unwrap_err();
    assert!(refused.to_string().contains("roll back first"), "{refused}");

    registry.reject(&bad, By::new("grace", "loops", at(9))).await.unwrap();
    let refused = registry.approve(&bad, By::new("grace", "", at(10))).await.unwrap_err();
    assert!(refused.to_string().contains("was rejected"), "{refused}");
    let decisions = registry.decisions(&ada()).await.unwrap();
    let actions: Vec<_> = decisions.iter().map(|decision| (decision.action, decision.decided_by.as_str())).collect();
    assert_eq!(actions, [(Action::Reject, "grace"), (Action::Deploy, "grace"), (Action::Approve, "grace")]);
    let ids = published(&fixture, Topic::Models).await;
    assert_eq!(
        ids,
        [
            "model/ada-v1/trained",
            "model/ada-v1/evaluated",
            "model/ada-v2/trained",
            "model/ada-v2/evaluated",
            "deployment/ada/1"
        ]
    );
}

#[tokio::test]
async fn a_late_event_does_not_undo_a_rollback_or_a_newer_model() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let first = evaluated(registry, "1", Verdict::Passed).await;
    assert!(registry.approve_by_policy(&first, at(6)).await.unwrap());
    registry.roll_back(&ada(), By::new("grace", "worse", at(7))).await.unwrap();
    assert!(!registry.approve_by_policy(&first, at(8)).await.unwrap());
    assert_eq!(registry.production(&ada()).await.unwrap().unwrap().model, None);

    let second = evaluated(registry, "2", Verdict::Passed).await;
    let third = evaluated(registry, "3", Verdict::Passed).await;
    assert!(registry.approve_by_policy(&third, at(9)).await.unwrap());
    assert!(!registry.approve_by_policy(&second, at(10)).await.unwrap(), "an older model does not replace a newer one");
    assert_eq!(registry.production(&ada()).await.unwrap().unwrap().model, Some(third));
}

#[tokio::test]
async fn rollbacks_go_back_step_by_step_to_the_base_model() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let refused = registry.roll_back(&ada(), By::new("grace", "", at(0))).await.unwrap_err();
    assert!(refused.to_string().contains("nothing to go back to"), "{refused}");
    let first = evaluated(registry, "1", Verdict::Passed).await;
    registry.approve(&first, By::new("grace", "", at(6))).await.unwrap();
    let second = evaluated(registry, "2", Verdict::Inconclusive).await;
    registry.approve(&second, By::new("grace", "", at(7))).await.unwrap();
    let back = registry.roll_back(&ada(), By::new("grace", "", at(8))).await.unwrap();
    assert_eq!((back.number, back.model), (3, Some(first.clone())));
    let back = registry.roll_back(&ada(), By::new("grace", "", at(9))).await.unwrap();
    assert_eq!((back.number, back.model), (4, None));
    assert!(registry.roll_back(&ada(), By::new("grace", "", at(10))).await.is_err());
    assert_eq!(registry.deploy(&second, By::new("grace", "", at(11))).await.unwrap().number, 5);
}

#[tokio::test]
async fn a_deployment_that_fails_leaves_the_one_before_in_force() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let first = evaluated(registry, "1", Verdict::Passed).await;
    registry.approve(&first, By::new("grace", "", at(6))).await.unwrap();
    registry.report_deployment(&ada(), report(1, "one", Ok(())), at(7)).await.unwrap();
    let second = evaluated(registry, "2", Verdict::Passed).await;
    registry.approve(&second, By::new("grace", "", at(8))).await.unwrap();
    registry.report_deployment(&ada(), report(2, "one", Err("a tensor is missing")), at(9)).await.unwrap();
    let production = registry.production(&ada()).await.unwrap().unwrap();
    assert_eq!((production.number, production.state), (1, DeploymentState::Serving));
    registry.report_deployment(&ada(), report(1, "one", Err("late")), at(10)).await.unwrap();
    assert_eq!(registry.productions().await.unwrap(), [production]);
    let failed = &registry.deployments(&ada()).await.unwrap()[0];
    assert_eq!((failed.state, failed.detail.as_deref()), (DeploymentState::Failed, Some("a tensor is missing")));
}

#[tokio::test]
async fn an_evaluation_is_done_once_and_a_failed_one_can_be_tried_again() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let model = evaluated(registry, "1", Verdict::Passed).await;
    assert!(!registry.queue_evaluation(&model, at(6)).await.unwrap());
    registry.finish_evaluation(&model, 1, outcome(Verdict::Failed, "other"), at(7)).await.unwrap();
    registry.fail_evaluation(&model, 1, "late", at(8)).await.unwrap();
    let evaluation = registry.evaluation(&model).await.unwrap().unwrap();
    assert_eq!((evaluation.state, evaluation.verdict), (EvaluationState::Done, Some(Verdict::Passed)));
    assert!(evaluation.grounded);
    assert!(!registry.retry_evaluation(&model, at(9)).await.unwrap());
    let model = registry.model(&model).await.unwrap().unwrap();
    assert_eq!((model.state, model.in_production), (ModelState::Evaluated, false));
    assert!(registry.queue_evaluation(&ModelId("eve-v1".into()), at(9)).await.is_err());
}

#[tokio::test]
async fn a_model_is_not_approved_by_a_comparison_with_what_answers_no_more() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let first = evaluated(registry, "1", Verdict::Passed).await;
    let second = evaluated(registry, "2", Verdict::Passed).await;
    registry.approve(&first, By::new("grace", "", at(6))).await.unwrap();
    let refused = registry.approve(&second, By::new("grace", "", at(7))).await.unwrap_err().to_string();
    assert!(refused.contains("ada-v2 was compared with the base model, and ada-v1 answers for ada now"), "{refused}");
    assert!(refused.contains("twin models evaluate ada-v2"), "{refused}");

    // What is found against the base model counts again once that answers again.
    registry.roll_back(&ada(), By::new("grace", "", at(8))).await.unwrap();
    assert_eq!(registry.approve(&second, By::new("grace", "", at(9))).await.unwrap().model, Some(second.clone()));
    registry.roll_back(&ada(), By::new("grace", "", at(10))).await.unwrap();
    registry.deploy(&first, By::new("grace", "", at(11))).await.unwrap();
    let third = evaluated(registry, "3", Verdict::Passed).await;
    registry.deploy(&second, By::new("grace", "", at(12))).await.unwrap();
    let refused = registry.approve(&third, By::new("grace", "", at(13))).await.unwrap_err().to_string();
    assert!(refused.contains("was compared with ada-v1, and ada-v2 answers"), "{refused}");
    registry.reject(&third, By::new("grace", "", at(14))).await.unwrap();
}

#[tokio::test]
async fn by_policy_a_model_that_was_compared_with_another_is_evaluated_again_and_then_approved() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let first = evaluated(registry, "1", Verdict::Passed).await;
    let second = evaluated(registry, "2", Verdict::Passed).await;
    assert!(registry.approve_by_policy(&first, at(6)).await.unwrap());
    for _ in 0..2 {
        assert!(!registry.approve_by_policy(&second, at(7)).await.unwrap());
        let open = registry.open_evaluations().await.unwrap();
        assert_eq!(open.iter().map(|row| &row.model).collect::<Vec<_>>(), [&second]);
    }
    let attempt = registry.start_evaluation(&second, at(8)).await.unwrap().unwrap();
    assert_eq!(attempt, 2, "attempts are counted on");
    registry.finish_evaluation(&second, attempt, outcome(Verdict::Passed, "sha256:again"), at(9)).await.unwrap();
    assert!(registry.approve_by_policy(&second, at(10)).await.unwrap());
    assert_eq!(registry.production(&ada()).await.unwrap().unwrap().model, Some(second));
    let evaluated = published(&fixture, Topic::Models).await;
    assert!(
        evaluated.contains(&"model/ada-v2/evaluated/2".to_owned()),
        "another report is another event: {evaluated:?}"
    );
}

#[tokio::test]
async fn a_verdict_can_be_asked_for_again_and_every_look_at_one_production_is_counted() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let looks = async |model| {
        let row = registry.evaluation(model).await.unwrap().unwrap();
        (row.look, row.round, row.verdict)
    };
    let first = evaluated(registry, "1", Verdict::Inconclusive).await;
    let second = evaluated(registry, "2", Verdict::Inconclusive).await;
    assert_eq!(looks(&first).await, (1, 1, Some(Verdict::Inconclusive)));
    assert_eq!(looks(&second).await, (2, 1, Some(Verdict::Inconclusive)));
    let same = registry.evaluate_again(&first, Default::default(), "grace", at(6)).await.unwrap_err().to_string();
    assert!(same.contains("ask for more samples or another policy"), "{same}");
    evaluated_again(registry, &first, Verdict::Passed).await;
    assert_eq!(looks(&first).await, (3, 2, Some(Verdict::Passed)));
    assert!(!registry.approve_by_policy(&first, at(7)).await.unwrap(), "who asked for another measure decides");

    let changes = MeasureChanges { max_voice: Some(90), ..MeasureChanges::default() };
    registry.evaluate_again(&first, changes.clone(), "grace", at(7)).await.unwrap();
    let early = registry.approve(&first, By::new("grace", "", at(7))).await.unwrap_err().to_string();
    assert!(early.contains("being evaluated again"), "{early}");
    let attempt = registry.start_evaluation(&first, at(7)).await.unwrap().unwrap();
    registry.fail_evaluation(&first, attempt, "no memory", at(7)).await.unwrap();
    let failed = registry.approve(&first, By::new("grace", "", at(7))).await.unwrap_err().to_string();
    assert!(failed.contains("the newest evaluation of ada-v1 has failed"), "{failed}");
    // Nobody has seen a report of that attempt: it is the same look.
    assert!(registry.retry_evaluation(&first, at(8)).await.unwrap());
    let attempt = registry.start_evaluation(&first, at(8)).await.unwrap().unwrap();
    registry.finish_evaluation(&first, attempt, outcome(Verdict::Passed, "sha256:r"), at(8)).await.unwrap();
    assert_eq!(looks(&first).await, (4, 3, Some(Verdict::Passed)));

    registry.approve(&first, By::new("grace", "", at(9))).await.unwrap();
    let decided = registry.evaluate_again(&first, changes, "grace", at(9)).await.unwrap_err().to_string();
    assert!(decided.contains("was approved"), "{decided}");
    evaluated_again(registry, &second, Verdict::Passed).await;
    assert_eq!(looks(&second).await, (1, 2, Some(Verdict::Passed)), "another production is looked at anew");
}

#[tokio::test]
async fn lineage_leads_from_a_model_to_its_documents_and_back() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let model = evaluated(registry, "1", Verdict::Passed).await;
    registry.mark_deleted(document(1), at(6)).await.unwrap();
    let lineage = registry.lineage(&model).await.unwrap();
    let documents: Vec<_> = lineage.documents.iter().map(|taught| (taught.document_id, taught.deleted_at)).collect();
    assert_eq!(documents, [(document(1), Some(at(6))), (document(2), None)]);
    let whole = lineage.part(None, 2);
    assert_eq!((&whole.items, whole.next), (&lineage.documents, None));
    let first = lineage.part(None, 1);
    let second = lineage.part(first.next.as_ref(), 1);
    assert_eq!((first.items.as_slice(), second.items.as_slice()), lineage.documents.split_at(1));
    assert!(first.next.is_some() && second.next.is_none());
    assert_eq!((lineage.job.recipe.as_str(), lineage.dataset.number), ("rank = 8", 1));
    let artifacts = store(&fixture);
    assert_eq!(registry.models_taught_by(&artifacts, document(1)).await.unwrap(), [model]);
    assert!(registry.models_taught_by(&artifacts, document(9)).await.unwrap().is_empty());
}

/// Where manifests are.
fn store(fixture: &Fixture) -> Artifacts {
    Artifacts::in_folder(&fixture.folder.path().join("artifacts")).unwrap()
}

/// A further model of the same version with folds that leave out these documents; none: without folds.
async fn folded(registry: &Registry, artifacts: &Artifacts, name: &str, left_out: &[&[u8]]) -> ModelId {
    let fold = |(number, left_out): (usize, &&[u8])| {
        let left_out: Vec<_> = left_out.iter().map(|number| document(*number)).collect();
        serde_json::json!({
            "fold": number, "left_out": left_out, "steps": 2, "samples": 2, "shown_beside": 0, "evaluation_loss": null,
            "adapter": [],
        })
    };
    let NewJob { job: id, dataset, base, recipe, code_version, .. } = job(name);
    let manifest = serde_json::json!({
        "author": ada(), "job": id, "dataset": dataset, "base": base, "recipe": recipe, "code_version": code_version,
        "steps": 2, "evaluation_loss": null, "seconds": 1.0, "adapter": [], "curves": [],
        "folds": left_out.iter().enumerate().map(fold).collect::<Vec<_>>(),
    });
    let manifest = artifacts.put(manifest.to_string().into_bytes()).await.unwrap();
    assert!(registry.queue_job(job(name), at(6)).await.unwrap());
    let attempt = registry.start_job(&id, at(6)).await.unwrap().unwrap();
    let made = JobOutcome::Succeeded(Some(NewModel { manifest }));
    registry.finish_job(&id, attempt, made, at(7)).await.unwrap().unwrap()
}

/// A model of a version with one document in each split, and one of which nothing is in it; their splits are not noted
/// where they are not `known`. Its manifest is gone.
async fn taught_by_three(registry: &Registry, known: bool) -> ModelId {
    let of = |number, split| member(number, 1, known.then_some(split));
    let mut without = of(4, Split::Train);
    without.passages = if known { 0 } else { 1 };
    let members = vec![of(1, Split::Train), of(2, Split::Validation), of(3, Split::Test), without];
    registry.add_dataset(NewDataset { members, ..dataset("a") }, at(0)).await.unwrap();
    evaluated(registry, "1", Verdict::Passed).await
}

#[tokio::test]
async fn only_the_documents_of_the_train_split_taught_a_model() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let model = taught_by_three(registry, true).await;
    let lineage = registry.lineage(&model).await.unwrap();
    let documents: Vec<_> = lineage.documents.iter().map(|taught| taught.document_id).collect();
    assert_eq!((documents, lineage.split_known), (vec![document(1)], true));
    assert_eq!(lineage.dataset.documents, 3, "words of three are in the version");
    let artifacts = store(&fixture);
    for (number, taught) in [(1, vec![model.clone()]), (2, Vec::new()), (4, Vec::new())] {
        assert_eq!(registry.models_taught_by(&artifacts, document(number)).await.unwrap(), taught, "{number}");
    }
    // Nobody knows whether it has folds.
    assert_eq!(registry.models_taught_by(&artifacts, document(3)).await.unwrap(), [model]);
}

#[tokio::test]
async fn a_document_of_the_test_split_taught_the_models_whose_folds_learned_from_it() {
    let fixture = fixture().await;
    let (registry, artifacts) = (&fixture.registry, store(&fixture));
    let members =
        vec![member(1, 1, Some(Split::Train)), member(2, 1, Some(Split::Validation)), member(3, 1, Some(Split::Test))];
    registry.add_dataset(NewDataset { members, ..dataset("a") }, at(0)).await.unwrap();
    let alone = folded(registry, &artifacts, "1", &[]).await;
    let with_folds = folded(registry, &artifacts, "2", &[&[1], &[3]]).await;
    let taught = async |number| registry.models_taught_by(&artifacts, document(number)).await.unwrap();
    assert_eq!(taught(1).await, [alone, with_folds.clone()]);
    assert_eq!(taught(2).await, Vec::<ModelId>::new(), "it told when to stop");
    assert_eq!(taught(3).await, [with_folds], "the fold that leaves out the other one learned from it");
}

#[tokio::test]
async fn a_dataset_of_before_the_split_was_noted_is_told_by_its_manifest_or_counts_as_a_whole() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let model = taught_by_three(registry, false).await;
    let mut lineage = registry.lineage(&model).await.unwrap();
    assert_eq!((lineage.documents.len(), lineage.split_known), (4, false));
    assert_eq!(registry.placements(&lineage.dataset.dataset).await.unwrap(), None);
    assert_eq!(registry.models_taught_by(&store(&fixture), document(3)).await.unwrap(), [model]);

    let hash = format!("sha256:{}", "0".repeat(64));
    let source = |number, split| {
        serde_json::json!({
            "document_id": document(number), "revision": 1, "content_hash": hash, "split": split, "passages": 1,
        })
    };
    let documents: Vec<_> =
        [(1, "train"), (2, "validation"), (3, "test"), (4, "train")].map(|(id, split)| source(id, split)).to_vec();
    let manifest = |options: serde_json::Value| -> DatasetManifest {
        serde_json::from_value(serde_json::json!({
            "dataset": "a".repeat(64), "number": 1, "created_at": at(0), "author": ada(), "build_version": 4,
            "options": options, "documents": documents, "counts": {}, "refusals": {}, "files": [],
        }))
        .unwrap()
    };
    lineage.told_by(&manifest(serde_json::json!({})));
    assert!(!lineage.split_known && lineage.documents.len() == 4, "that one does not say how they were divided");
    let options = serde_json::json!({"seed": 0, "train_share": 0.8, "validation_share": 0.1, "other": "settings"});
    lineage.told_by(&manifest(options));
    let documents: Vec<_> = lineage.documents.iter().map(|taught| taught.document_id).collect();
    assert_eq!((documents, lineage.split_known), (vec![document(1), document(4)], true));
}

#[tokio::test]
async fn lists_hold_the_newest_rows_and_no_more_than_asked_for() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let first = evaluated(registry, "b", Verdict::Passed).await;
    let second = evaluated(registry, "c", Verdict::Passed).await;
    registry.add_dataset(dataset("e"), at(6)).await.unwrap();
    let ada = ada();
    let datasets = registry.newest_datasets(Some(&ada), 1).await.unwrap();
    assert_eq!(datasets.iter().map(|row| row.number).collect::<Vec<_>>(), [2]);
    let models = registry.newest_models(None, 1).await.unwrap();
    assert_eq!((models.len(), &models[0].model), (1, &second));
    assert_eq!(registry.newest_jobs(Some(&ada), Some(JobState::Succeeded), 9).await.unwrap().len(), 2);
    assert_eq!(registry.newest_jobs(None, Some(JobState::Queued), 9).await.unwrap(), []);
    assert_eq!(registry.newest_jobs(None, None, 1).await.unwrap().len(), 1);
    registry.approve(&first, By::new("Grace", "it passed", at(7))).await.unwrap();
    evaluated_again(registry, &second, Verdict::Passed).await;
    registry.approve(&second, By::new("Grace", "it passed", at(7))).await.unwrap();
    let deployments = registry.list_deployments(&ada, None, 1).await.unwrap();
    assert_eq!((deployments.items.len(), deployments.items[0].number), (1, 2));
    let decided: Vec<Action> =
        registry.decisions_about(&first).await.unwrap().into_iter().map(|row| row.action).collect();
    assert_eq!(decided, [Action::Deploy, Action::Approve], "newest first, and none about the other model");
    let bob = "bob".parse().unwrap();
    assert_eq!(registry.newest_datasets(Some(&bob), 9).await.unwrap(), []);
    assert_eq!(registry.newest_models(Some(&bob), 9).await.unwrap(), []);
}

#[tokio::test]
async fn a_list_goes_on_where_it_ended_whatever_comes_meanwhile() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let (mut expected, mut numbers) = (Vec::new(), Vec::new());
    // Of one moment: their ids say which comes first.
    for digit in ["a", "b", "c", "d", "e"] {
        expected.push(registry.add_dataset(dataset(digit), at(6)).await.unwrap().dataset);
    }
    expected.reverse();
    let (mut listed, mut before) = (Vec::new(), None);
    loop {
        let page = registry.list_datasets(None, before.as_ref(), 2).await.unwrap();
        listed.extend(page.items.into_iter().map(|row| row.dataset));
        // A newer one is in no later part.
        registry.add_dataset(dataset(&format!("f{}", listed.len())), at(7)).await.unwrap();
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(listed, expected);

    for digit in ["g", "h", "i"] {
        let model = evaluated(registry, digit, Verdict::Passed).await;
        registry.approve(&model, By::new("Grace", "it passed", at(8))).await.unwrap();
    }
    let mut before = None;
    loop {
        let page = registry.list_deployments(&ada(), before.as_ref(), 2).await.unwrap();
        numbers.extend(page.items.iter().map(|row| row.number));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(numbers, [3, 2, 1]);
}

#[tokio::test]
async fn what_a_run_measured_is_read_in_parts_by_name_and_step() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let job = job("1").job;
    let metric = |name: &str, step| Metric { name: name.into(), step, value: step as f64 };
    let all = vec![metric("a", 1), metric("a", 2), metric("a", 10), metric("b", 1), metric("b", 2)];
    registry.add_metrics(&job, all.clone()).await.unwrap();
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let page = registry.list_metrics(&job, after.as_ref(), 2).await.unwrap();
        assert!(page.items.len() <= 2);
        read.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((read, registry.metrics(&job).await.unwrap()), (all.clone(), all));
}
