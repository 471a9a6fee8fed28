//! How far an author's learning is, in the words of one view.

mod support;

use support::{Fixture, ada, at, dataset, document, evaluated, fixture, ingredients, job, member, outcome, report};
use twin_registry::{
    By, Collected, Due, Ingredients, JobOutcome, JobProgress, MeasureChanges, Member, NewDataset, NewJob, NewModel,
    Outlook, Part, RETRAINING, Standing,
};
use twin_schemas::{Split, Verdict};

const COLLECTED: Collected = Collected {
    new_samples: 34,
    needed: 200,
    key: "datasets.freeze.new_samples",
    deleted_share: 0.0,
    due: None,
    automatic: true,
};

/// Where each part stands but the retraining, which is last.
async fn standings(fixture: &Fixture) -> [Standing; 5] {
    let outlook = fixture.registry.outlook(&ada(), COLLECTED, Ok(&ingredients())).await.unwrap();
    let parts: Vec<Part> = outlook.iter().map(|found| found.part).collect();
    let order = [Part::Dataset, Part::Training, Part::Evaluation, Part::Decision, Part::Deployment, Part::Retraining];
    assert_eq!(parts, order);
    outlook.iter().map(|found| found.standing).take(5).collect::<Vec<_>>().try_into().unwrap()
}

/// Why a part stands where it does.
async fn detail(fixture: &Fixture, part: Part) -> String {
    of(fixture, part, COLLECTED, Ok(&ingredients())).await.detail
}

async fn of(fixture: &Fixture, part: Part, collected: Collected, now: Result<&Ingredients, &str>) -> Outlook {
    let outlook = fixture.registry.outlook(&ada(), collected, now).await.unwrap();
    outlook.into_iter().find(|found| found.part == part).unwrap()
}

#[tokio::test]
async fn an_author_of_whom_nothing_is_frozen_waits_for_passages() {
    let fixture = fixture().await;
    let none = Standing::NotBegun;
    assert_eq!(standings(&fixture).await, [Standing::Waits, none, none, none, none]);
    let why = detail(&fixture, Part::Dataset).await;
    assert_eq!(why, "34 of the 200 new passages are there that make a version due (datasets.freeze.new_samples)");
}

#[tokio::test]
async fn a_request_that_is_refused_says_why_until_a_version_is_made() {
    let fixture = fixture().await;
    fixture.registry.request_freeze(&ada(), "grace", at(0)).await.unwrap();
    assert_eq!(standings(&fixture).await[0], Standing::UnderWay);
    fixture.registry.answer_freeze(&ada(), Err("too few samples"), at(1)).await.unwrap();
    assert_eq!(
        (standings(&fixture).await[0], detail(&fixture, Part::Dataset).await),
        (Standing::HeldBack, "no version could be made: too few samples".into())
    );
    fixture.registry.add_dataset(dataset("1"), at(2)).await.unwrap();
    assert_eq!(standings(&fixture).await[0], Standing::Done);
    fixture.registry.request_freeze(&ada(), "grace", at(3)).await.unwrap();
    fixture.registry.answer_freeze(&ada(), Err("too few samples"), at(4)).await.unwrap();
    let why = detail(&fixture, Part::Dataset).await;
    assert_eq!(why, "no version could be made: too few samples; version 1 stays");
}

#[tokio::test]
async fn a_version_that_is_due_is_not_waited_for_in_vain() {
    let fixture = fixture().await;
    let due = Collected { new_samples: 200, ..COLLECTED };
    let why = of(&fixture, Part::Dataset, due, Ok(&ingredients())).await.detail;
    assert!(why.contains("datasets.freeze.quiet_s") && why.contains("twin datasets freeze --author ada"), "{why}");
}

#[tokio::test]
async fn what_was_deleted_of_the_newest_version_and_its_age_are_told_as_why_another_is_due() {
    let fixture = fixture().await;
    fixture.registry.add_dataset(dataset("a"), at(0)).await.unwrap();
    let told = async |deleted_share, due| {
        let collected = Collected { deleted_share, due, ..COLLECTED };
        let found = of(&fixture, Part::Dataset, collected, Ok(&ingredients())).await;
        (found.standing, found.detail)
    };
    let (standing, why) = told(0.03, None).await;
    assert_eq!(standing, Standing::Done);
    assert!(why.contains("3.0 % of its passages were deleted since; 34 of the 200"), "{why}");
    let (standing, why) = told(0.3, Some(Due::Deletions)).await;
    assert_eq!(standing, Standing::Waits);
    let due = "30.0 % of its passages were deleted since; that makes a version without them due";
    assert!(why.contains(due) && why.contains("datasets.freeze.quiet_s"), "{why}");
    let (standing, why) = told(0.0, Some(Due::Age)).await;
    assert_eq!(standing, Standing::Waits);
    assert!(why.contains("34 new passages are there, and the version is old (datasets.freeze.max_age_hours)"), "{why}");

    // Too little is left: why no version comes stands beside why one is due.
    fixture.registry.request_freeze(&ada(), "policy", at(1)).await.unwrap();
    fixture.registry.answer_freeze(&ada(), Err("too few samples"), at(2)).await.unwrap();
    let (standing, why) = told(0.3, Some(Due::Deletions)).await;
    let expected =
        "no version could be made: too few samples; version 1 stays; 30.0 % of its passages were deleted since";
    assert_eq!((standing, why.as_str()), (Standing::HeldBack, expected));
}

#[tokio::test]
async fn a_version_that_has_learned_from_what_was_deleted_says_what_makes_one_without() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let model = evaluated(registry, "1", Verdict::Passed).await;
    registry.approve(&model, By::new("grace", "", at(6))).await.unwrap();
    registry.mark_deleted(document(2), at(7)).await.unwrap();
    let by_hand = Collected { automatic: false, ..COLLECTED };
    let told = async |collected| {
        let found = of(&fixture, Part::Retraining, collected, Ok(&ingredients())).await;
        (found.standing, found.detail)
    };
    let learned = "ada-v1 was trained on version 1, of which 1 of 2 documents were deleted since";
    assert_eq!(told(by_hand).await, (Standing::Done, format!("{learned}: the next version is without them")));
    let without =
        NewDataset { reason: "deletions".into(), members: vec![member(1, 1, Some(Split::Train))], ..dataset("b") };
    registry.add_dataset(without, at(8)).await.unwrap();
    let offered = format!("{learned}; version 2 is without them: twin train --author ada trains on it");
    assert_eq!(told(by_hand).await, (Standing::Offered, offered));
    let (standing, why) = told(COLLECTED).await;
    assert_eq!(standing, Standing::Waits, "it is trained by itself: {why}");
    assert!(registry.queue_job(NewJob { dataset: dataset("b").dataset, ..job("2") }, at(9)).await.unwrap());
    assert_eq!(told(by_hand).await.0, Standing::Waits, "it is taken");
}

#[tokio::test]
async fn what_was_deleted_of_a_version_is_weighed_by_its_passages() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let of_passages = |number, passages| Member { passages, ..member(number, 1, Some(Split::Train)) };
    let members = [(1, 60), (2, 30), (3, 10), (4, 0)].map(|(number, passages)| of_passages(number, passages));
    registry.add_dataset(NewDataset { members: members.into(), ..dataset("a") }, at(0)).await.unwrap();
    for (number, share) in [(4, 0.0), (3, 0.1), (1, 0.7)] {
        registry.mark_deleted(document(number), at(1)).await.unwrap();
        let version = registry.newest_dataset(&ada()).await.unwrap().unwrap();
        assert_eq!(registry.deleted_share(&version).await.unwrap(), share, "document {number}");
    }
}

#[tokio::test]
async fn a_version_that_nothing_trains_on_by_itself_says_who_does_or_why_nobody_can() {
    let fixture = fixture().await;
    fixture.registry.add_dataset(dataset("a"), at(0)).await.unwrap();
    let by_hand = Collected { automatic: false, ..COLLECTED };
    let found = of(&fixture, Part::Training, by_hand, Ok(&ingredients())).await;
    let told = "no job trains on version 1 (trainer.automatic is off): twin train --author ada";
    assert_eq!((found.standing, found.detail.as_str()), (Standing::Waits, told));
    let found = of(&fixture, Part::Training, COLLECTED, Err("there is no base model")).await;
    let told = "no job trains on version 1: there is no base model";
    assert_eq!((found.standing, found.detail.as_str()), (Standing::HeldBack, told));
    // Who asked for it to be trained on need not ask again.
    let wanted = NewDataset { reason: RETRAINING.into(), ..dataset("b") };
    fixture.registry.add_dataset(wanted, at(1)).await.unwrap();
    let why = of(&fixture, Part::Training, by_hand, Ok(&ingredients())).await.detail;
    assert!(why.contains("by itself"), "{why}");
}

#[tokio::test]
async fn a_version_that_serves_says_whether_it_answers_and_whether_it_is_out_of_date() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let parts = async |now: Result<&Ingredients, &str>| {
        let (serves, due) = (Part::Deployment, Part::Retraining);
        (of(&fixture, serves, COLLECTED, now).await.detail, of(&fixture, due, COLLECTED, now).await)
    };
    let (answers, due) = parts(Ok(&ingredients())).await;
    assert!(answers.contains("no version was deployed"), "{answers}");
    assert_eq!(due.standing, Standing::NotBegun);
    let model = evaluated(registry, "1", Verdict::Passed).await;
    registry.approve(&model, By::new("grace", "", at(6))).await.unwrap();
    registry.report_deployment(&ada(), report(1, "one", Ok(())), at(7)).await.unwrap();
    let (answers, due) = parts(Ok(&ingredients())).await;
    assert_eq!((answers.as_str(), due.standing), ("ada-v1 serves", Standing::Done), "{due:?}");
    let other = Ingredients { bases: vec!["other".into()], ..ingredients() };
    let (answers, due) = parts(Ok(&other)).await;
    assert_eq!((answers.as_str(), due.standing), ("ada-v1 serves", Standing::Offered), "it goes on: {due:?}");
    assert!(due.detail.contains("trainer.base") && due.detail.contains("twin train --author ada"), "{due:?}");
    let (_, due) = parts(Err("there is no base model")).await;
    assert_eq!(due.standing, Standing::NotBegun);
    assert!(due.detail.ends_with("is not known: there is no base model"), "{due:?}");
}

#[tokio::test]
async fn a_job_is_told_from_its_queue_to_its_model_or_the_reason_that_there_is_none() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    registry.add_dataset(dataset("a"), at(0)).await.unwrap();
    assert_eq!(standings(&fixture).await[1], Standing::Waits);
    assert!(detail(&fixture, Part::Training).await.contains("trainer.automatic"));
    let id = job("1").job;
    assert!(registry.queue_job(job("1"), at(1)).await.unwrap());
    assert!(detail(&fixture, Part::Training).await.contains("waits for its turn"));
    registry.start_job(&id, at(2)).await.unwrap();
    let progress = JobProgress { step: 3, steps: 9, ..JobProgress::default() };
    registry.note_job_progress(&id, 1, progress).await.unwrap();
    assert_eq!(standings(&fixture).await[1], Standing::UnderWay);
    assert!(detail(&fixture, Part::Training).await.ends_with("attempt 1, step 3 of 9"));
    registry.finish_job(&id, 1, JobOutcome::Failed("the disk is full".into()), at(3)).await.unwrap();
    assert_eq!(standings(&fixture).await[1], Standing::HeldBack);
    let why = detail(&fixture, Part::Training).await;
    assert!(why.contains("the disk is full") && why.contains("twin jobs retry 111111111111"), "{why}");
    registry.retry_job(&id, at(4)).await.unwrap();
    registry.start_job(&id, at(5)).await.unwrap();
    let made = JobOutcome::Succeeded(Some(NewModel { manifest: "sha256:m".into() }));
    registry.finish_job(&id, 2, made, at(6)).await.unwrap();
    assert_eq!(standings(&fixture).await[1..4], [Standing::Done, Standing::Waits, Standing::NotBegun]);
    // A version that came since is not trained on by that.
    registry.add_dataset(dataset("b"), at(7)).await.unwrap();
    assert_eq!(standings(&fixture).await[1], Standing::Waits);
}

#[tokio::test]
async fn the_job_on_the_newest_version_is_told_though_one_on_an_older_version_came_after_it() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    registry.add_dataset(dataset("a"), at(0)).await.unwrap();
    registry.add_dataset(dataset("b"), at(1)).await.unwrap();
    let on_newest = NewJob { dataset: dataset("b").dataset, ..job("2") };
    assert!(registry.queue_job(on_newest, at(2)).await.unwrap());
    assert!(registry.queue_job(job("1"), at(3)).await.unwrap());
    assert_eq!(detail(&fixture, Part::Training).await, "job 222222222222 waits for its turn");
}

#[tokio::test]
async fn a_sweep_is_told_from_its_queue_to_its_conclusion() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    registry.add_dataset(dataset("a"), at(0)).await.unwrap();
    for name in ["1", "2"] {
        let trial = NewJob { sweep: Some("s/0".into()), ..job(name) };
        assert!(registry.queue_job(trial, at(1)).await.unwrap());
    }
    assert_eq!(standings(&fixture).await[1], Standing::Waits);
    assert_eq!(detail(&fixture, Part::Training).await, "a sweep of 2 trials waits for its turn");
    for (name, ended) in [("1", 1), ("2", 2)] {
        let id = job(name).job;
        registry.start_job(&id, at(2)).await.unwrap();
        registry.finish_job(&id, 1, JobOutcome::Succeeded(None), at(3)).await.unwrap();
        assert_eq!(standings(&fixture).await[1], Standing::UnderWay);
        let told = format!("a sweep of 2 trials runs, {ended} of them have ended");
        assert_eq!(detail(&fixture, Part::Training).await, told);
    }
    let sweep = registry.open_sweeps().await.unwrap().remove(0);
    assert!(registry.conclude_sweep(&sweep, None, at(4)).await.unwrap());
    assert_eq!(standings(&fixture).await[1], Standing::Waits);
    assert!(detail(&fixture, Part::Training).await.contains("no job trains on version 1 yet"));
}

#[tokio::test]
async fn a_model_that_passed_waits_for_a_person_and_one_that_did_not_is_held_back() {
    let passed = fixture().await;
    let model = evaluated(&passed.registry, "1", Verdict::Passed).await;
    assert_eq!(standings(&passed).await[2..], [Standing::Done, Standing::Waits, Standing::NotBegun]);
    assert!(detail(&passed, Part::Decision).await.contains(&format!("twin models approve {model}")));
    passed.registry.approve(&model, By::new("grace", "", at(9))).await.unwrap();
    assert_eq!(standings(&passed).await[3..], [Standing::Done, Standing::UnderWay]);

    let failed = fixture().await;
    evaluated(&failed.registry, "1", Verdict::Failed).await;
    assert_eq!(standings(&failed).await[2..], [Standing::Done, Standing::HeldBack, Standing::NotBegun]);
}

#[tokio::test]
async fn nobody_is_told_to_approve_what_was_compared_with_another_or_is_evaluated_again() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    let first = evaluated(registry, "1", Verdict::Passed).await;
    let second = evaluated(registry, "2", Verdict::Passed).await;
    assert!(detail(&fixture, Part::Decision).await.contains(&format!("twin models approve {second}")));
    registry.approve(&first, By::new("grace", "", at(7))).await.unwrap();
    assert_eq!(standings(&fixture).await[3], Standing::Waits);
    let why = detail(&fixture, Part::Decision).await;
    assert!(why.contains(&format!("twin models evaluate {second}")) && !why.contains("approve"), "{why}");
    registry.evaluate_again(&second, MeasureChanges::default(), "grace", at(8)).await.unwrap();
    let attempt = registry.start_evaluation(&second, at(9)).await.unwrap().unwrap();
    assert_eq!(standings(&fixture).await[3], Standing::Waits);
    let why = detail(&fixture, Part::Decision).await;
    assert!(why.contains("is evaluated again") && !why.contains("approve"), "{why}");
    registry.finish_evaluation(&second, attempt, outcome(Verdict::Passed, "sha256:again"), at(9)).await.unwrap();
    assert!(detail(&fixture, Part::Decision).await.contains(&format!("twin models approve {second}")));
}
