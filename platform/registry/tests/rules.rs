//! The rules alone, without any store: whatever is commanded in whatever order, by whomever, is a legal history.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use twin_registry::rules::{AuthorState, Command, Step, WorkerReport, decide};
use twin_registry::{
    DeploymentState, EvaluationOutcome, EvaluationState, JobOutcome, MeasureChanges, ModelState, NewDataset, NewJob,
    NewModel,
};
use twin_schemas::{AuthorId, DatasetId, JobId, ModelId, Verdict};

fn ada() -> AuthorId {
    "ada".parse().unwrap()
}

fn at(second: usize) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + second as i64, 0).unwrap()
}

fn dataset_id() -> impl Strategy<Value = DatasetId> {
    (0..4_u8).prop_map(|number| DatasetId(format!("d{number}")))
}

fn job_id() -> impl Strategy<Value = JobId> {
    (0..4_u8).prop_map(|number| JobId(format!("j{number}")))
}

/// Models that there may be, and one that there is not.
fn model_id() -> impl Strategy<Value = ModelId> {
    (1..6_u32).prop_map(|number| ModelId::of(&ada(), number))
}

fn person() -> impl Strategy<Value = String> {
    prop_oneof![Just("grace".to_owned()), Just("linus".to_owned())]
}

fn dataset() -> impl Strategy<Value = Command> {
    dataset_id().prop_map(|dataset| {
        Command::AddDataset(NewDataset {
            dataset,
            author: ada(),
            manifest: "m".into(),
            training_samples: 1,
            counts: BTreeMap::new(),
            prompts: None,
            reason: "requested".into(),
            members: Vec::new(),
        })
    })
}

fn job() -> impl Strategy<Value = Command> {
    (job_id(), dataset_id(), any::<bool>()).prop_map(|(job, dataset, is_trial)| {
        let (base, recipe, code_version) = ("b".into(), "r".into(), "1".into());
        let sweep = is_trial.then(|| "sweep".to_owned());
        Command::QueueJob(NewJob { job, author: ada(), dataset, base, recipe, sweep, code_version })
    })
}

fn outcome() -> impl Strategy<Value = JobOutcome> {
    prop_oneof![
        4 => Just(JobOutcome::Succeeded(Some(NewModel { manifest: "m".into() }))),
        1 => Just(JobOutcome::Succeeded(None)),
        1 => Just(JobOutcome::Failed("no".into())),
        1 => Just(JobOutcome::Cancelled("no".into())),
    ]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![Just(Verdict::Passed), Just(Verdict::Failed), Just(Verdict::Inconclusive)]
}

fn changes() -> impl Strategy<Value = MeasureChanges> {
    prop_oneof![Just(None), Just(Some(80))].prop_map(|max_voice| MeasureChanges { max_voice, ..Default::default() })
}

fn report() -> impl Strategy<Value = Command> {
    let worker = prop_oneof![Just("one".to_owned()), Just("two".to_owned())];
    let alive = proptest::collection::btree_set(worker.clone(), 0..3);
    (0..6_u64, worker, any::<bool>(), alive).prop_map(|(number, worker, serves, alive)| {
        let outcome = if serves { Ok(()) } else { Err("no".to_owned()) };
        Command::ReportDeployment(WorkerReport { number, worker, outcome, alive })
    })
}

fn command() -> impl Strategy<Value = Command> {
    let attempt = 0..3_u32;
    let of_jobs = prop_oneof![
        dataset(),
        job(),
        job_id().prop_map(|job| Command::StartJob { job }),
        (job_id(), attempt.clone()).prop_map(|(job, attempt)| Command::RequeueJob {
            job,
            attempt,
            reason: "gone".into()
        }),
        (job_id(), person()).prop_map(|(job, by)| Command::CancelJob { job, by }),
        job_id().prop_map(|job| Command::RetryJob { job }),
        (job_id(), attempt.clone(), outcome()).prop_map(|(job, attempt, outcome)| Command::FinishJob {
            job,
            attempt,
            outcome
        }),
        Just(Command::ConcludeSweep { sweep: "sweep".into(), recipe: Some(("r".into(), "sweep".into())) }),
        (person(), any::<bool>()).prop_map(|(by, retrain)| Command::RequestFreeze { by, retrain }),
        any::<bool>().prop_map(|refused| Command::AnswerFreeze { outcome: "so".into(), refused }),
    ];
    let of_models = prop_oneof![
        model_id().prop_map(|model| Command::QueueEvaluation { model }),
        model_id().prop_map(|model| Command::StartEvaluation { model }),
        (model_id(), attempt.clone(), verdict()).prop_map(|(model, attempt, verdict)| {
            let outcome = EvaluationOutcome { verdict, grounded: false, report: "r".into(), page: "p".into() };
            Command::FinishEvaluation { model, attempt, outcome }
        }),
        (model_id(), attempt.clone()).prop_map(|(model, attempt)| Command::RequeueEvaluation {
            model,
            attempt,
            reason: "gone".into()
        }),
        (model_id(), attempt)
            .prop_map(|(model, attempt)| { Command::FailEvaluation { model, attempt, reason: "no".into() } }),
        model_id().prop_map(|model| Command::RetryEvaluation { model }),
        (model_id(), changes(), person()).prop_map(|(model, changes, by)| Command::EvaluateAgain {
            model,
            changes,
            by
        }),
        (model_id(), person()).prop_map(|(model, who)| Command::Approve { model, who, why: String::new() }),
        model_id().prop_map(|model| Command::ApproveByPolicy { model }),
        (model_id(), person()).prop_map(|(model, who)| Command::Reject { model, who, why: String::new() }),
        (model_id(), person()).prop_map(|(model, who)| Command::Deploy { model, who, why: String::new() }),
        person().prop_map(|who| Command::RollBack { who, why: String::new() }),
        report(),
    ];
    prop_oneof![of_jobs, of_models]
}

/// What must be so in every state.
fn check(state: &AuthorState) {
    let numbers: Vec<_> = state.datasets.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=state.datasets.len() as u32).collect::<Vec<_>>(), "dataset numbers");
    let ids: BTreeSet<_> = state.datasets.iter().map(|row| &row.dataset).collect();
    assert_eq!(ids.len(), state.datasets.len(), "a dataset is there once");
    let numbers: Vec<_> = state.models.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=state.models.len() as u32).collect::<Vec<_>>(), "model numbers");
    let jobs: BTreeSet<_> = state.models.iter().map(|row| &row.job).collect();
    assert_eq!(jobs.len(), state.models.len(), "a job makes one model");
    let numbers: Vec<_> = state.deployments.iter().map(|known| known.row.number).collect();
    assert_eq!(numbers, (1..=state.deployments.len() as u64).collect::<Vec<_>>(), "deployment numbers");

    let in_production: Vec<_> = state.models.iter().filter(|row| row.in_production).collect();
    assert!(in_production.len() <= 1, "two in production");
    let serving = state.in_force().and_then(|row| row.model.clone());
    assert_eq!(in_production.first().map(|row| &row.model), serving.as_ref());
    for model in in_production {
        assert_eq!(model.state, ModelState::Approved, "only what was approved serves");
        assert!(matches!(model.verdict, Some(Verdict::Passed | Verdict::Inconclusive)), "{model:?} serves");
    }
}

/// What may not happen between two states.
fn check_step(before: &AuthorState, after: &AuthorState) {
    for model in &before.models {
        let now = after.model(&model.model).expect("a model stays");
        assert!(model.state != ModelState::Rejected || now.state == ModelState::Rejected, "rejected is for ever");
        let done = before.evaluations.get(&model.model).is_some_and(|row| row.state == EvaluationState::Done);
        let stays = done || model.state == ModelState::Approved;
        assert!(!stays || now.verdict == model.verdict, "a verdict stays until another evaluation ends");
        if now.state == ModelState::Approved && model.state != ModelState::Approved {
            let evaluation = &before.evaluations[&model.model];
            let answers = before.in_force().and_then(|row| row.model.clone());
            let compared = evaluation.against.as_ref().map(|against| against.model.clone());
            assert!(compared.is_none_or(|compared| compared == answers), "approved by what it was not compared with");
            assert_eq!(evaluation.state, EvaluationState::Done, "approved while it is evaluated");
        }
    }
    for known in &before.deployments {
        let now = after.deployments.iter().find(|later| later.row.number == known.row.number).expect("it stays");
        let was = known.row.state;
        assert!(was == DeploymentState::Requested || now.row.state == was, "what was settled stays so");
    }
    for (model, count) in &before.looks {
        assert!(after.looks[model] >= *count, "no look is forgotten");
    }
    for (id, job) in &before.jobs {
        assert!(after.jobs[id].attempts >= job.attempts);
        assert!(job.model.is_none() || after.jobs[id] == *job, "a job that has made a model is over");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_sequence_of_commands_is_a_legal_history(commands in proptest::collection::vec(command(), 1..120)) {
        let mut state = AuthorState::new(ada());
        let mut steps: Vec<Step> = Vec::new();
        let mut events = BTreeSet::new();
        for (second, command) in commands.into_iter().enumerate() {
            let Ok(Some(step)) = decide(&state, command.clone(), at(second)) else { continue };
            let before = state.clone();
            state.apply(step.clone());
            check(&state);
            check_step(&before, &state);
            if let Some(event) = step.event(&ada()) {
                prop_assert!(events.insert(event.id.clone()), "{} is announced twice", event.id);
            }
            if !matches!(command, Command::RollBack { .. }) {
                // The same again, at once: nothing more, or refused.
                let again = decide(&state, command.clone(), at(second));
                prop_assert!(!matches!(again, Ok(Some(_))), "{command:?} twice is {again:?}");
            }
            steps.push(step);
        }
        // Whoever reads the steps has the state, also after they were stored.
        let text = serde_json::to_string(&steps).unwrap();
        let mut read = AuthorState::new(ada());
        for step in serde_json::from_str::<Vec<Step>>(&text).unwrap() {
            read.apply(step);
        }
        prop_assert_eq!(read, state);
    }
}
