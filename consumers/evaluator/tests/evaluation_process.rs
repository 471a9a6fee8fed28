//! What an evaluation's process says, and when it says nothing.

mod scripted;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use scripted::{Stage, TUNED, dataset, options, samples};
use serde_json::{Value, json};
use tempfile::TempDir;
use twin_artifacts::Artifacts;
use twin_evaluator::{EvaluationOrder, Subject, SubjectError, SubjectRole, Subjects, Version, work};
use twin_schemas::ModelId;

/// No model can be opened.
struct Unopened(fn() -> twin_artifacts::Error);

#[async_trait]
impl Subjects for Unopened {
    async fn open(&self, _: SubjectRole) -> Result<Option<Box<dyn Subject>>, SubjectError> {
        Err((self.0)().into())
    }
}

struct Job {
    folder: TempDir,
    store: PathBuf,
}

impl Job {
    /// An evaluation of scripted models on the samples in the store.
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = folder.path().join("artifacts");
        let lines: Vec<String> = samples().iter().map(|sample| serde_json::to_string(sample).unwrap()).collect();
        let test = Artifacts::in_folder(&store).unwrap().put(lines.join("\n").into_bytes()).await.unwrap();
        let order = EvaluationOrder {
            model: ModelId("ada-v2".into()),
            dataset: dataset(),
            test: vec![test],
            candidate: Version { name: "ada-v2".into(), files: Vec::new() },
            production: None,
            unloadable: None,
            compared: None,
            others: Vec::new(),
            asked: None,
            categories: BTreeMap::new(),
            folds: None,
            base: "base".into(),
            options: options(),
        };
        let submission = json!({ "resources": { "memory_bytes": 1 << 30, "seconds": 600 }, "order": order });
        std::fs::write(folder.path().join("order.json"), submission.to_string()).unwrap();
        Self { folder, store }
    }

    async fn work(&self, subjects: impl Subjects) -> Result<(), twin_evaluator::Error> {
        work(self.folder.path(), &Artifacts::url_of_folder(&self.store), |_, _| subjects, None).await
    }

    /// It says that it can go on, and nothing else.
    fn gave_way(&self) -> bool {
        let outcome = self.outcome();
        outcome.is_some_and(|said| said["Passing"].is_string() && said.as_object().is_some_and(|said| said.len() == 1))
    }

    fn outcome(&self) -> Option<Value> {
        let text = std::fs::read(self.folder.path().join("outcome.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

fn stage() -> Stage {
    Stage::new(TUNED, None, &samples())
}

#[tokio::test]
async fn while_the_artifact_store_is_away_an_evaluation_gives_way() {
    let job = Job::new().await;
    let away = job.folder.path().join("away");
    std::fs::rename(&job.store, &away).unwrap();
    let error = job.work(stage()).await.unwrap_err();
    assert!(error.is_transient(), "the samples are away: {error}");
    assert!(job.gave_way(), "another attempt may succeed: {:?}", job.outcome());
    std::fs::rename(&away, &job.store).unwrap();
    let error =
        job.work(Unopened(|| Artifacts::existing(Path::new("/no/such/folder")).unwrap_err())).await.unwrap_err();
    assert!(error.is_transient(), "the candidate's files are away: {error}");
    assert!(job.gave_way(), "another attempt may succeed: {:?}", job.outcome());

    job.work(stage()).await.unwrap();
    let artifacts = Artifacts::in_folder(&job.store).unwrap();
    let outcome = job.outcome().unwrap();
    assert!(artifacts.get(outcome["Ok"]["report"].as_str().unwrap()).await.is_ok(), "{outcome}");
}

#[tokio::test]
async fn what_can_not_be_evaluated_ends_with_the_reason() {
    let job = Job::new().await;
    job.work(Unopened(|| twin_artifacts::Error::Damaged("sha256:d".into()))).await.unwrap();
    let outcome = job.outcome().unwrap();
    assert!(outcome["Err"].as_str().is_some_and(|problem| problem.contains("sha256:d is damaged")), "{outcome}");
}
