//! Evaluations from the queue to the verdict, with a runner whose evaluations end as the test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;
use twin_artifacts::{Artifacts, FolderFile};
use twin_backend::Error;
use twin_coordination::{Member, Options as LeaseOptions, Owner};
use twin_evaluator::end_to_end::{Asked, Questions, Rehearsed, Serving, ServingError, ServingSettings};
use twin_evaluator::{
    Compared, Dependencies, Evaluation, EvaluationOrder, EvaluationProduct, EvaluationReport, Evaluations, GuardRule,
    Metric, Metrics, Options, Policy, SampleKind, ServiceOptions, TestSample, supervisor,
};
use twin_jobs::{Resources, Runner, Status, Supervisor};
use twin_llm::{PromptOptions, grounded_prompt};
use twin_registry::{
    Against, By, EvaluationRow, EvaluationState, FoldAdapter, JobOutcome, MeasureChanges, ModelManifest, NewDataset,
    NewJob, NewModel, Registry,
};
use twin_schemas::{
    AuthorId, Category, ChatMessage, DatasetId, DocumentId, JobId, ModelId, Passage, Revision, Role, Verdict,
};
use twin_sqlite::{Database, SqliteLeases};

type Seen = Status<EvaluationProduct, EvaluationReport>;

/// Runs nothing: each evaluation is as the test says.
struct Scripted {
    status: Mutex<Seen>,
    submitted: Mutex<Vec<EvaluationOrder>>,
}

#[async_trait]
impl Runner<Evaluation> for Scripted {
    async fn submit(&self, _: &str, _: u32, _: &Resources, order: &EvaluationOrder) -> Result<(), Error> {
        self.submitted.lock().unwrap().push(order.clone());
        Ok(())
    }

    async fn status(&self, _: &str) -> Result<Seen, Error> {
        Ok(self.status.lock().unwrap().clone())
    }

    async fn cancel(&self, _: &str, _: u32) -> Result<(), Error> {
        Ok(())
    }

    async fn reopen(&self, _: &str, _: u32) -> Result<(), Error> {
        Ok(())
    }

    async fn forget(&self, _: &str, _: u32) -> Result<(), Error> {
        Ok(())
    }
}

struct Fixture {
    supervisor: Supervisor<Evaluations>,
    runner: Arc<Scripted>,
    registry: Registry,
    artifacts: Artifacts,
    model: ModelId,
    _folder: tempfile::TempDir,
}

fn ada() -> AuthorId {
    "ada".parse().unwrap()
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn dataset() -> DatasetId {
    DatasetId("d".repeat(64))
}

/// A dataset version whose files are these.
async fn manifest(artifacts: &Artifacts, files: serde_json::Value) -> String {
    let manifest = json!({
        "dataset": dataset(), "number": 1, "created_at": at(), "author": "ada", "build_version": 3, "options": {},
        "documents": [], "counts": {}, "refusals": {}, "files": files,
    });
    artifacts.put(manifest.to_string().into_bytes()).await.unwrap()
}

async fn model_manifest(artifacts: &Artifacts, job: &JobId, merged: bool, folds: Vec<FoldAdapter>) -> String {
    let file =
        FolderFile { path: "config.json".into(), artifact: artifacts.put(b"{}".to_vec()).await.unwrap(), bytes: 2 };
    let manifest = ModelManifest {
        author: ada(),
        job: job.clone(),
        dataset: dataset(),
        base: "base".into(),
        recipe: "{}".into(),
        code_version: "1".into(),
        steps: 1,
        evaluation_loss: None,
        seconds: 1.0,
        plan: None,
        merged: merged.then(|| vec![file.clone()]),
        adapter: vec![file],
        curves: Vec::new(),
        folds,
    };
    artifacts.put(serde_json::to_vec(&manifest).unwrap()).await.unwrap()
}

/// A queued evaluation of a model, trained on a version with these files.
async fn fixture(files: serde_json::Value, merged: bool) -> Fixture {
    fixture_with(files, merged, None).await
}

/// The same, where serving is asked for passages.
async fn fixture_with(files: serde_json::Value, merged: bool, serving: Option<Arc<dyn Serving>>) -> Fixture {
    fixture_of(files, merged, serving, Vec::new()).await
}

/// The same, of a model with these folds.
async fn fixture_of(
    files: serde_json::Value,
    merged: bool,
    serving: Option<Arc<dyn Serving>>,
    folds: Vec<FoldAdapter>,
) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    let registry = twin_sqlite::registry(database.clone()).await.unwrap();
    let artifacts = Artifacts::in_folder(&folder.path().join("artifacts")).unwrap();
    let new = NewDataset {
        prompts: None,
        dataset: dataset(),
        author: ada(),
        manifest: manifest(&artifacts, files).await,
        training_samples: 20,
        counts: BTreeMap::new(),
        reason: "requested".into(),
        members: Vec::new(),
    };
    registry.add_dataset(new, at()).await.unwrap();
    let job = JobId("1".repeat(64));
    let (base, recipe, code_version) = ("base".into(), "{}".into(), "1".into());
    let new = NewJob { job: job.clone(), author: ada(), dataset: dataset(), base, recipe, sweep: None, code_version };
    registry.queue_job(new, at()).await.unwrap();
    registry.start_job(&job, at()).await.unwrap();
    let made = NewModel { manifest: model_manifest(&artifacts, &job, merged, folds).await };
    let model = registry.finish_job(&job, 1, JobOutcome::Succeeded(Some(made)), at()).await.unwrap().unwrap();
    registry.queue_evaluation(&model, at()).await.unwrap();

    let runner = Arc::new(Scripted { status: Mutex::new(Status::Running(None)), submitted: Mutex::default() });
    let leases = Arc::new(SqliteLeases::open(database).await.unwrap());
    let member = Member::new(leases, Owner::new("one"), &LeaseOptions { lease_ms: 500 });
    let dependencies = Dependencies { registry: registry.clone(), artifacts: artifacts.clone(), serving };
    let options = ServiceOptions { attempts: 2, ..ServiceOptions::default() };
    let metrics = Metrics::new(&twin_telemetry::MetricsRegistry::new()).unwrap();
    let supervisor = supervisor(&options, dependencies, runner.clone(), member, metrics);
    Fixture { supervisor, runner, registry, artifacts, model, _folder: folder }
}

fn test_files() -> serde_json::Value {
    json!([{ "name": "eval/test.jsonl", "parts": ["sha256:t"], "lines": 1, "bytes": 1 }])
}

impl Fixture {
    async fn looks(&mut self, times: usize) {
        for _ in 0..times {
            self.supervisor.look().await.unwrap();
        }
    }

    fn is(&self, status: Seen) {
        *self.runner.status.lock().unwrap() = status;
    }

    async fn row(&self) -> EvaluationRow {
        self.registry.evaluation(&self.model).await.unwrap().unwrap()
    }

    fn submitted(&self) -> Vec<EvaluationOrder> {
        self.runner.submitted.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn an_evaluation_whose_process_is_gone_waits_and_is_started_again_and_ends_with_a_verdict() {
    let mut f = fixture(test_files(), true).await;
    f.looks(2).await;
    assert_eq!((f.row().await.state, f.row().await.attempts), (EvaluationState::Running, 1));
    let order = f.submitted().remove(0);
    assert_eq!((order.test, order.base.as_str(), order.production.is_none()), (vec!["sha256:t".into()], "base", true));
    assert_eq!((order.candidate.name.as_str(), order.candidate.files.len()), ("ada-v1", 1));

    f.is(Status::Absent("out of luck".into()));
    f.looks(1).await;
    assert_eq!(f.row().await.state, EvaluationState::Queued);
    f.looks(1).await;
    assert_eq!((f.row().await.state, f.row().await.attempts), (EvaluationState::Running, 2));
    let (report, page) = ("sha256:r".to_owned(), "sha256:p".to_owned());
    let product = EvaluationProduct { verdict: Verdict::Passed, grounded: true, report, page, compared: None };
    f.is(Status::Succeeded(product));
    f.looks(1).await;
    let done = f.row().await;
    assert_eq!(
        (done.state, done.verdict, done.grounded, done.report.as_deref()),
        (EvaluationState::Done, Some(Verdict::Passed), true, Some("sha256:r"))
    );
}

fn passed(compared: Option<Compared>) -> EvaluationProduct {
    let (report, page) = ("sha256:r".to_owned(), "sha256:p".to_owned());
    EvaluationProduct { verdict: Verdict::Passed, grounded: true, report, page, compared }
}

#[tokio::test]
async fn what_was_compared_with_something_else_than_the_registry_noted_is_compared_again() {
    let mut f = fixture(test_files(), true).await;
    f.looks(1).await;
    let compared = f.submitted()[0].compared.clone().unwrap();
    assert_eq!(compared, Compared { against: Against { model: None }, look: 1 });
    let other = Against { model: Some(ModelId("ada-v7".into())) };
    f.is(Status::Succeeded(passed(Some(Compared { against: other, ..compared.clone() }))));
    f.looks(1).await;
    assert_eq!(f.row().await.state, EvaluationState::Queued);
    f.is(Status::Running(None));
    f.looks(1).await;
    assert_eq!((f.row().await.attempts, f.row().await.look), (2, 1), "no report was made: it is the first look still");
    f.is(Status::Succeeded(passed(Some(compared))));
    f.looks(1).await;
    assert_eq!(f.row().await.state, EvaluationState::Done);
}

#[tokio::test]
async fn a_version_in_production_without_files_keeps_no_candidate_from_its_evaluation() {
    let mut f = fixture(test_files(), true).await;
    f.looks(1).await;
    f.is(Status::Succeeded(passed(None)));
    f.looks(1).await;
    let first = f.model.clone();
    f.registry.approve(&first, By::new("grace", "", at())).await.unwrap();
    // The next one is of another base model, and what serves can not be read any more.
    let job = JobId("2".repeat(64));
    let (base, recipe, code_version) = ("other".into(), "{}".into(), "1".into());
    let new = NewJob { job: job.clone(), author: ada(), dataset: dataset(), base, recipe, sweep: None, code_version };
    f.registry.queue_job(new, at()).await.unwrap();
    f.registry.start_job(&job, at()).await.unwrap();
    let made = NewModel { manifest: model_manifest(&f.artifacts, &job, true, Vec::new()).await };
    let second = f.registry.finish_job(&job, 1, JobOutcome::Succeeded(Some(made)), at()).await.unwrap().unwrap();
    let manifest = f.registry.model(&first).await.unwrap().unwrap().manifest;
    let hash = manifest.strip_prefix("sha256:").unwrap();
    let stored = f._folder.path().join("artifacts").join(&hash[..2]).join(hash);
    std::fs::remove_file(&stored).unwrap_or_else(|error| panic!("{}: {error}", stored.display()));
    f.is(Status::Running(None));
    f.registry.queue_evaluation(&second, at()).await.unwrap();
    f.looks(1).await;
    let order = f.submitted().remove(1);
    assert_eq!((order.model, order.base.as_str(), order.production.is_none()), (second, "other", true));
    let unloadable = order.unloadable.unwrap();
    assert_eq!(unloadable.version, first.0);
    assert!(unloadable.cause.contains("there is no artifact"), "{unloadable:?}");
    assert_eq!(order.compared.map(|compared| compared.against.model), Some(Some(first)), "that is what answers");
}

#[tokio::test]
async fn an_author_is_held_against_the_other_authors_of_the_twin() {
    let mut f = fixture(test_files(), true).await;
    let of_bob = |number: usize, manifest: String| NewDataset {
        prompts: None,
        dataset: DatasetId(number.to_string().repeat(64)),
        author: "bob".parse().unwrap(),
        manifest,
        training_samples: 20,
        counts: BTreeMap::new(),
        reason: "requested".into(),
        members: Vec::new(),
    };
    let files = |part: &str| json!([{ "name": "eval/test.jsonl", "parts": [part], "lines": 1, "bytes": 1 }]);
    for (number, part) in ["sha256:old", "sha256:new"].into_iter().enumerate() {
        let manifest = manifest(&f.artifacts, files(part)).await;
        f.registry
            .add_dataset(of_bob(number, manifest), at() + chrono::TimeDelta::seconds(number as i64))
            .await
            .unwrap();
    }
    // Whose manifest is gone is no impostor, and keeps nobody from being evaluated.
    let gone = NewDataset { author: "eve".parse().unwrap(), ..of_bob(7, format!("sha256:{}", "0".repeat(64))) };
    f.registry.add_dataset(gone, at()).await.unwrap();
    f.looks(1).await;
    assert_eq!(f.submitted()[0].others, [vec!["sha256:new".to_owned()]]);
}

#[tokio::test]
async fn a_model_that_is_evaluated_again_is_measured_as_was_asked_and_as_another_look() {
    let mut f = fixture(test_files(), true).await;
    f.looks(1).await;
    f.is(Status::Succeeded(passed(None)));
    f.looks(1).await;
    f.is(Status::Running(None));
    let changes = MeasureChanges {
        max_voice: Some(90),
        primary: Some("bits_per_byte".into()),
        guard_rule: Some("mean".into()),
        min_documents: Some(3),
        ..MeasureChanges::default()
    };
    f.registry.evaluate_again(&f.model, changes, "grace", at()).await.unwrap();
    f.looks(1).await;
    let order = f.submitted().remove(1);
    let Options { max_voice, max_grounded, policy, .. } = &order.options;
    assert_eq!((*max_voice, *max_grounded, order.compared.map(|compared| compared.look)), (90, 40, Some(2)));
    assert_eq!((policy.primary, policy.guard_rule, policy.min_documents), (Metric::BitsPerByte, GuardRule::Mean, 3));
    assert_eq!(policy.min_samples, Policy::default().min_samples);
    assert!(policy.guards.iter().all(|guard| guard.metric != Metric::BitsPerByte));
}

#[tokio::test]
async fn an_evaluation_by_a_measure_that_there_is_not_fails_by_its_name() {
    let mut f = fixture(test_files(), true).await;
    f.looks(1).await;
    f.is(Status::Succeeded(passed(None)));
    f.looks(1).await;
    let changes = MeasureChanges { primary: Some("beauty".into()), ..MeasureChanges::default() };
    f.registry.evaluate_again(&f.model, changes, "grace", at()).await.unwrap();
    f.looks(1).await;
    let failed = f.row().await;
    assert_eq!(failed.state, EvaluationState::Failed);
    assert!(failed.reason.as_deref().is_some_and(|why| why.contains("policy.primary")), "{failed:?}");
}

#[tokio::test]
async fn an_evaluation_that_dies_too_often_fails_with_what_it_said_and_one_that_gives_way_does_not() {
    let mut f = fixture(test_files(), true).await;
    f.looks(1).await;
    f.is(Status::Interrupted("the artifact store is away".into()));
    f.looks(3).await;
    assert_eq!((f.row().await.state, f.row().await.attempts), (EvaluationState::Running, 1), "it waits");
    let deadline = Instant::now() + Duration::from_secs(30);
    while f.submitted().len() < 2 {
        assert!(Instant::now() < deadline, "it never goes on");
        f.looks(1).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(f.row().await.attempts, 1, "it goes on as the same attempt");
    f.is(Status::Absent("starting\nout of luck".into()));
    f.looks(3).await;
    let failed = f.row().await;
    assert_eq!(failed.state, EvaluationState::Failed);
    assert!(failed.reason.as_deref().is_some_and(|reason| reason.ends_with("out of luck")), "{failed:?}");
}

#[tokio::test]
async fn what_can_not_be_evaluated_fails_with_the_reason_and_is_never_submitted() {
    for (files, merged, why) in
        [(json!([]), true, "has no test samples"), (test_files(), false, "the adapter alone was kept")]
    {
        let mut f = fixture(files, merged).await;
        f.looks(1).await;
        let failed = f.row().await;
        assert_eq!(failed.state, EvaluationState::Failed);
        assert!(failed.reason.as_deref().is_some_and(|reason| reason.contains(why)), "{failed:?}");
        assert!(f.submitted().is_empty());
    }
}

/// Serving that finds the same passage for every question.
struct Library {
    fails: Option<ServingError>,
    found: Vec<Passage>,
    asked: Mutex<Vec<(String, Option<DocumentId>)>>,
}

#[async_trait]
impl Serving for Library {
    fn settings(&self) -> ServingSettings {
        ServingSettings { k: 5, min_grounded: 0.5 }
    }

    async fn rehearse(
        &self,
        author: &AuthorId,
        question: &str,
        without: Option<DocumentId>,
    ) -> Result<Rehearsed, ServingError> {
        assert_eq!(*author, ada());
        self.asked.lock().unwrap().push((question.to_owned(), without));
        match &self.fails {
            Some(error) => Err(error.clone()),
            None => Ok(Rehearsed {
                passages: self.found.clone(),
                given: self.found.len(),
                prompt: Vec::new(),
                asks: true,
                quoted: None,
            }),
        }
    }

    async fn categories(&self, documents: &[DocumentId]) -> Result<BTreeMap<DocumentId, Category>, ServingError> {
        Ok(documents.iter().map(|document| (*document, Category::Post)).collect())
    }
}

fn passage() -> Passage {
    Passage {
        document_id: document(1),
        revision: Revision(1),
        ordinal: 0,
        natural_key: "hive.md".into(),
        title: None,
        url: None,
        category: Category::Post,
        heading_path: Vec::new(),
        text: "I keep bees. The hive survived the frost.".into(),
        score: 0.7,
    }
}

fn document(number: u128) -> DocumentId {
    format!("{number:032x}").parse().unwrap()
}

/// A voice sample, a question with an answer and one without.
fn test_split() -> Vec<u8> {
    let sample = |kind: SampleKind, number: u128, question: &str| TestSample {
        kind,
        document_id: document(number),
        prompt: grounded_prompt(
            &ada(),
            &[ChatMessage { role: Role::User, content: question.into() }],
            &[passage()],
            &PromptOptions::default(),
        ),
        reference: "\"The hive survived the frost.\" [1]".into(),
        passages: vec![passage().text],
        right: (kind == SampleKind::Grounded).then_some(0),
        ends: true,
    };
    let samples = [
        sample(SampleKind::Voice, 1, "Write about the hive."),
        sample(SampleKind::Grounded, 1, "Did the hive survive?"),
        sample(SampleKind::Refusal, 2, "Who built it?"),
    ];
    samples.map(|sample| serde_json::to_string(&sample).unwrap()).join("\n").into_bytes()
}

/// A queued evaluation on [`test_split`], and the library that is asked.
async fn with_library(fails: Option<ServingError>, found: Vec<Passage>) -> (Fixture, Arc<Library>) {
    let library = Arc::new(Library { fails, found, asked: Mutex::default() });
    // A name is of the content alone, in whichever store it is.
    let elsewhere = tempfile::tempdir().unwrap();
    let part = Artifacts::in_folder(elsewhere.path()).unwrap().put(test_split()).await.unwrap();
    let files = json!([{ "name": "eval/test.jsonl", "parts": [part], "lines": 3, "bytes": 1 }]);
    let fixture = fixture_with(files, true, Some(library.clone())).await;
    fixture.artifacts.put(test_split()).await.unwrap();
    (fixture, library)
}

#[tokio::test]
async fn questions_of_the_test_split_are_put_to_serving_and_travel_with_the_order() {
    let (mut f, library) = with_library(None, vec![passage()]).await;
    f.looks(1).await;
    let order = f.submitted().remove(0);
    let Some(Asked::Questions(artifact)) = order.asked else { panic!("{:?}", order.asked) };
    let questions: Questions = serde_json::from_slice(&f.artifacts.get(&artifact).await.unwrap()).unwrap();
    assert_eq!((questions.absent, questions.settings.k), (None, 5));
    let [answered, left_out] = &questions.questions[..] else { panic!("{:?}", questions.questions) };
    assert_eq!((answered.kind, answered.asked.as_str()), (SampleKind::Grounded, "Did the hive survive?"));
    assert_eq!(answered.answers, ["The hive survived the frost."]);
    assert_eq!((left_out.kind, left_out.answers.len()), (SampleKind::Refusal, 0));
    let asked = library.asked.lock().unwrap().clone();
    assert_eq!(asked, [("Did the hive survive?".to_owned(), None), ("Who built it?".to_owned(), Some(document(2)))]);
    assert_eq!(order.categories, BTreeMap::from([1, 2].map(|number| (document(number), Category::Post))));
}

/// A document of the test split, and one that the model has learned from, in the form of the file that folds are made of.
fn samples_of_folds() -> Vec<u8> {
    let line = |number: u128, question: &str| {
        let question = ChatMessage { role: Role::User, content: question.into() };
        let prompt = grounded_prompt(&ada(), &[question], &[passage()], &PromptOptions::default());
        let mut line = serde_json::to_value(TestSample {
            kind: SampleKind::Refusal,
            document_id: document(number),
            prompt,
            reference: "I do not know.".into(),
            passages: vec![passage().text],
            right: None,
            ends: true,
        })
        .unwrap();
        let more = json!({ "split": "train", "family": document(number), "measured": true });
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        format!("{line}\n")
    };
    [line(1, "Who built it?"), line(2, "Who built it?"), line(3, "Who bought it?")].concat().into_bytes()
}

#[tokio::test]
async fn questions_of_all_documents_that_folds_measure_are_put_to_serving() {
    let library = Arc::new(Library { fails: None, found: vec![passage()], asked: Mutex::default() });
    let elsewhere = tempfile::tempdir().unwrap();
    let elsewhere = Artifacts::in_folder(elsewhere.path()).unwrap();
    let tested = elsewhere.put(test_split()).await.unwrap();
    let all = elsewhere.put(samples_of_folds()).await.unwrap();
    let files = json!([
        { "name": "eval/test.jsonl", "parts": [tested], "lines": 3, "bytes": 1 },
        { "name": "folds.jsonl", "parts": [all], "lines": 3, "bytes": 1 },
    ]);
    let fold = |fold: u32, left_out: &[u128]| FoldAdapter {
        fold,
        left_out: left_out.iter().map(|number| document(*number)).collect(),
        steps: 1,
        samples: 1,
        shown_beside: 0,
        evaluation_loss: None,
        adapter: Vec::new(),
    };
    let folds = vec![fold(0, &[1, 2]), fold(1, &[3])];
    let mut f = fixture_of(files, true, Some(library.clone()), folds).await;
    for content in [test_split(), samples_of_folds()] {
        f.artifacts.put(content).await.unwrap();
    }
    f.looks(1).await;
    assert_eq!(f.submitted().len(), 1);
    let asked: Vec<Option<DocumentId>> = library.asked.lock().unwrap().iter().map(|(_, without)| *without).collect();
    assert_eq!(asked, [1, 2, 3].map(|number| Some(document(number))), "the test split has two of them");
}

#[tokio::test]
async fn an_index_that_is_away_or_has_nothing_of_the_author_is_told_in_the_order() {
    for (fails, why) in [
        (Some(ServingError::Away("the file is locked".into())), "can not be searched: the file is locked"),
        (None, "no passage of the author"),
    ] {
        let (mut f, _) = with_library(fails, Vec::new()).await;
        f.looks(1).await;
        assert_eq!(f.row().await.state, EvaluationState::Running);
        let order = f.submitted().remove(0);
        assert!(matches!(&order.asked, Some(Asked::Absent(said)) if said.contains(why)), "{:?}", order.asked);
    }
}

#[tokio::test]
async fn an_evaluation_is_not_begun_by_a_process_that_stops() {
    let (mut f, _) = with_library(Some(ServingError::Stopping), vec![passage()]).await;
    f.looks(2).await;
    assert_eq!((f.row().await.state, f.submitted().len()), (EvaluationState::Queued, 0));
}

#[tokio::test]
async fn an_order_of_an_earlier_version_is_read() {
    let (mut f, _) = with_library(None, vec![passage()]).await;
    f.looks(1).await;
    let mut order = serde_json::to_value(f.submitted().remove(0)).unwrap();
    for field in ["asked", "categories"] {
        assert!(order.as_object_mut().unwrap().remove(field).is_some(), "{field}");
    }
    let read: EvaluationOrder = serde_json::from_value(order).unwrap();
    assert_eq!((read.asked, read.categories.len()), (None, 0));
}
