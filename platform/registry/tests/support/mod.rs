//! A registry with a log beside it, and things to put into it.
#![allow(dead_code, missing_docs, reason = "each test uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use twin_coordination::{Member, Owner};
use twin_registry::rules::WorkerReport;
use twin_registry::{
    EvaluationOutcome, Ingredients, JobOutcome, MeasureChanges, Member as VersionMember, NewDataset, NewJob, NewModel,
    Placement, Registry, SplitRule,
};
use twin_schemas::{AuthorId, DatasetId, DocumentId, JobId, ModelId, Revision, Split, Verdict};
use twin_sqlite::{Database, SqliteLeases, SqliteLog};
use twin_stream::{EventLog, TopicSpec};

pub struct Fixture {
    pub registry: Registry,
    pub log: Arc<dyn EventLog>,
    pub member: Member,
    pub folder: tempfile::TempDir,
}

pub async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    let log = SqliteLog::open(database.clone(), 1 << 20).await.unwrap();
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    let registry = twin_sqlite::registry(database.clone()).await.unwrap();
    let leases = Arc::new(SqliteLeases::open(database).await.unwrap());
    let member = Member::new(leases, Owner::new("test"), &twin_coordination::Options::default());
    Fixture { registry, member, log: Arc::new(log), folder }
}

pub fn ada() -> AuthorId {
    "ada".parse().unwrap()
}

pub fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

pub fn document(number: u8) -> DocumentId {
    DocumentId(format!("00000000-0000-0000-0000-0000000000{number:02}").parse().unwrap())
}

/// A document of a version, in that split.
pub fn member(number: u8, revision: u64, split: Option<Split>) -> VersionMember {
    let rule = SplitRule { seed: 0, train_share: 0.8, validation_share: 0.1 };
    let placement = split.map(|split| Placement { split, rule });
    VersionMember { document_id: document(number), revision: Revision(revision), passages: 1, placement }
}

pub fn dataset(name: &str) -> NewDataset {
    NewDataset {
        dataset: DatasetId(name.repeat(64)),
        author: ada(),
        manifest: format!("sha256:{name}"),
        training_samples: 12,
        counts: BTreeMap::from([("voice".to_owned(), 12)]),
        prompts: ingredients().prompts,
        reason: "enough new samples".into(),
        members: vec![member(1, 1, Some(Split::Train)), member(2, 3, Some(Split::Train))],
    }
}

pub fn job(name: &str) -> NewJob {
    NewJob {
        job: JobId(name.repeat(64)),
        author: ada(),
        dataset: DatasetId("a".repeat(64)),
        base: "base".into(),
        recipe: "rank = 8".into(),
        sweep: None,
        code_version: "1".into(),
    }
}

/// What [`job`] is made of, and prompts of the form that [`dataset`] has.
pub fn ingredients() -> Ingredients {
    Ingredients { bases: vec!["base".into(), "base of before".into()], prompts: Some("1/3x1600".into()) }
}

/// A model of that job, evaluated with that verdict.
pub async fn evaluated(registry: &Registry, name: &str, verdict: Verdict) -> ModelId {
    registry.add_dataset(dataset("a"), at(0)).await.unwrap();
    assert!(registry.queue_job(job(name), at(1)).await.unwrap());
    let id = job(name).job;
    assert_eq!(registry.start_job(&id, at(2)).await.unwrap(), Some(1));
    let made = JobOutcome::Succeeded(Some(NewModel { manifest: "sha256:m".into() }));
    let model = registry.finish_job(&id, 1, made, at(3)).await.unwrap().unwrap();
    assert!(registry.queue_evaluation(&model, at(4)).await.unwrap());
    assert_eq!(registry.start_evaluation(&model, at(4)).await.unwrap(), Some(1));
    registry.finish_evaluation(&model, 1, outcome(verdict, "sha256:r"), at(5)).await.unwrap();
    model
}

/// Evaluates a model once more, against what answers now.
pub async fn evaluated_again(registry: &Registry, model: &ModelId, verdict: Verdict) {
    let changes = MeasureChanges { max_voice: Some(80), ..MeasureChanges::default() };
    registry.evaluate_again(model, changes, "grace", at(6)).await.unwrap();
    let attempt = registry.start_evaluation(model, at(6)).await.unwrap().unwrap();
    registry.finish_evaluation(model, attempt, outcome(verdict, "sha256:again"), at(6)).await.unwrap();
}

/// An evaluation's outcome with that verdict, of a model whose grounded answers are good enough.
pub fn outcome(verdict: Verdict, report: &str) -> EvaluationOutcome {
    EvaluationOutcome { verdict, grounded: true, report: report.into(), page: "sha256:p".into() }
}

/// A worker's report; the worker `one` alone is alive.
pub fn report(number: u64, worker: &str, outcome: Result<(), &str>) -> WorkerReport {
    let alive = BTreeSet::from(["one".to_owned()]);
    WorkerReport { number, worker: worker.into(), outcome: outcome.map_err(str::to_owned), alive }
}
