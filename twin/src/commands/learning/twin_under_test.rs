//! A real gateway over a real registry and artifact store, and command lines that are run against it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use clap::{Parser, Subcommand};
use serde_json::{Value, json};
use tempfile::TempDir;
use twin_api::{DeadLetterView, PlannedFoldsView};
use twin_artifacts::Artifacts;
use twin_gateway::{
    DeadLetterAccess, Dependencies, Gateway, JobPlanner, Learning, NextVersions, Options, PlannedRun, PortError,
    SourceResolver,
};
use twin_registry::{
    Collected, EvaluationOutcome, Ingredients, JobOutcome, JobProgress, JobQueue, Member, Metric, NewDataset, NewModel,
    Placement, Registry, SplitRule,
};
use twin_schemas::{AuthorId, DatasetId, DocumentId, JobId, ModelId, Revision, SourceKind, Split, Verdict};
use twin_sqlite::{Database, SqliteLog, SqliteWarehouse};
use twin_stream::DeadLetterCursor;
use twin_telemetry::Health;
use twin_training::{Fit, Plan, Recipe};

use super::super::out::testing::{Written, captured};
use super::super::{Command, Context, dispatch};
use crate::client::{Client, testing::serve};
use crate::error::CommandError;

/// A document's id, as it is typed.
pub const DOCUMENT: &str = "00000000-0000-0000-0000-000000000007";
pub const LINE: &str = "{\"messages\": []}\n";
/// The form that prompts have now.
pub const PROMPTS: &str = "2/3x1600";

pub struct Twin {
    pub client: Client,
    pub registry: Registry,
    pub artifacts: Artifacts,
    folder: TempDir,
}

impl Twin {
    pub async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let database = Database::open(&folder.path().join("twin.db")).unwrap();
        let registry = twin_sqlite::registry(database.clone()).await.unwrap();
        let artifacts = Artifacts::in_folder(&folder.path().join("artifacts")).unwrap();
        let queue = Ok(twin_queue(&registry));
        let dependencies = Dependencies {
            log: Arc::new(SqliteLog::open(database.clone(), 1 << 20).await.unwrap()),
            warehouse: Arc::new(SqliteWarehouse::open(database).await.unwrap()),
            sources: Arc::new(Nothing),
            dead_letters: Arc::new(Nothing),
            health: Health::default(),
            registry: twin_telemetry::MetricsRegistry::new(),
            stages: Vec::new(),
            default_interval_s: 900,
            min_score: None,
            uploads: None,
            learning: Some(Learning {
                registry: registry.clone(),
                artifacts: artifacts.clone(),
                queue,
                planner: Ok(Arc::new(Half)),
                next_versions: Arc::new(Half),
            }),
        };
        let client = serve(Gateway::new(Options::default(), dependencies).unwrap().router()).await;
        let twin = Self { client, registry, artifacts, folder };
        let document = json!({"author": "ada", "category": "post", "natural_key": "first", "text": "hello",
            "title": "Hello", "url": "https://example.org/hello"});
        twin.client.post(&["documents"], &document).await.unwrap();
        twin
    }

    /// The document that was pushed.
    async fn document(&self) -> DocumentId {
        let listed = self.client.get(&["documents"], &[]).await.unwrap();
        DocumentId(listed.json()["documents"][0]["document_id"].as_str().unwrap().parse().unwrap())
    }

    /// A version whose id repeats the digit, with prompts as they are now.
    pub async fn freeze(&self, digit: &str) {
        self.freeze_with(digit, Some(PROMPTS)).await;
    }

    /// The same, of samples whose prompts have that form.
    pub async fn freeze_with(&self, digit: &str, prompts: Option<&str>) {
        let name = self.artifacts.put(LINE.repeat(2).into_bytes()).await.unwrap();
        let file = json!({"name": "sft/train.jsonl", "parts": [name], "lines": 2, "bytes": 2 * LINE.len()});
        // Versions after the first are made of one more document.
        let hash = format!("sha256:{}", "0".repeat(64));
        let document = json!({"document_id": DOCUMENT, "revision": 3, "content_hash": hash, "passages": 1});
        let documents = if digit == "a" { json!([]) } else { json!([document]) };
        let manifest = json!({
            "dataset": digit.repeat(64), "number": 1, "created_at": Utc::now(), "author": "ada", "build_version": 3,
            "options": {}, "documents": documents, "counts": {}, "refusals": {}, "files": [file],
        });
        let manifest = manifest.to_string().into_bytes();
        let rule = SplitRule { seed: 0, train_share: 0.8, validation_share: 0.1 };
        let placement = Some(Placement { split: Split::Train, rule });
        let member =
            |document_id, revision| Member { document_id, revision: Revision(revision), passages: 1, placement };
        let new = NewDataset {
            prompts: prompts.map(str::to_owned),
            dataset: DatasetId(digit.repeat(64)),
            author: ada(),
            manifest: self.artifacts.put(manifest).await.unwrap(),
            training_samples: 12,
            counts: BTreeMap::from([("voice".to_owned(), 12)]),
            reason: "asked for".to_owned(),
            members: vec![member(DocumentId(DOCUMENT.parse().unwrap()), 3), member(self.document().await, 1)],
        };
        self.registry.add_dataset(new, Utc::now()).await.unwrap();
    }

    /// Starts a queued job and notes these losses.
    pub async fn start_job(&self, job: &JobId, losses: &[f64]) {
        assert_eq!(self.registry.start_job(job, Utc::now()).await.unwrap(), Some(1));
        let metrics = losses.iter().zip(1..).map(|(value, step)| Metric { name: "loss".into(), step, value: *value });
        self.registry.add_metrics(job, metrics.collect()).await.unwrap();
        let (steps, loss) = (losses.len() as u64, losses.last().copied());
        let progress = JobProgress { step: steps, steps, loss, ..JobProgress::default() };
        self.registry.note_job_progress(job, 1, progress).await.unwrap();
    }

    /// Ends a running job with a model.
    pub async fn finish_job(&self, job: &JobId) -> ModelId {
        self.finish_job_with(job, "model.safetensors").await
    }

    /// Ends a running job with a model whose weights have that name.
    pub async fn finish_job_with(&self, job: &JobId, weights: &str) -> ModelId {
        let bytes = LINE.len() as u64;
        let artifact = self.artifacts.put(LINE.into()).await.unwrap();
        let file = |path: &str| json!({"path": path, "artifact": artifact, "bytes": bytes});
        let manifest = json!({
            "author": "ada", "job": job, "dataset": "a".repeat(64), "base": "base", "recipe": "{}", "seconds": 1.0,
            "code_version": "1.2.3", "steps": 2, "evaluation_loss": null, "merged": [file(weights)],
            "adapter": [file("adapter_model.safetensors")], "curves": [file("loss.svg")],
        });
        let manifest = self.artifacts.put(manifest.to_string().into_bytes()).await.unwrap();
        let outcome = JobOutcome::Succeeded(Some(NewModel { manifest }));
        self.registry.finish_job(job, 1, outcome, Utc::now()).await.unwrap().unwrap()
    }

    pub async fn evaluate(&self, model: &ModelId) {
        let attempt = self.registry.start_evaluation(model, Utc::now()).await.unwrap().unwrap();
        let report = json!({
            "verdict": "passed", "models": {"candidate": model, "base": "small"},
            "checks": [{"kind": "primary", "metric": "loss_per_token", "outcome": "passed", "reason": "it fell"}],
        });
        let report = self.artifacts.put(report.to_string().into_bytes()).await.unwrap();
        let page = self.artifacts.put(b"<!doctype html>".to_vec()).await.unwrap();
        let outcome = EvaluationOutcome { verdict: Verdict::Passed, grounded: false, report, page };
        self.registry.finish_evaluation(model, attempt, outcome, Utc::now()).await.unwrap();
    }

    /// Runs a command line; its results and its notes are written there.
    pub fn command<'a>(
        &self,
        line: &str,
        json: bool,
    ) -> (impl Future<Output = Result<(), CommandError>> + use<'a>, Written, Written) {
        let command = match Line::try_parse_from(["twin"].into_iter().chain(line.split(' '))).unwrap().command {
            Words::Models(command) => Command::Models(command),
            Words::Other(command) => command,
        };
        let (out, results, notes) = captured(false);
        let mut context = Context { client: self.client.clone(), out, json };
        (async move { dispatch(command, &mut context).await }, results, notes)
    }

    /// What a command writes.
    pub async fn run(&self, line: &str) -> String {
        let (command, results, _) = self.command(line, false);
        command.await.unwrap_or_else(|error| panic!("{line}: {error}"));
        results.text()
    }

    pub async fn run_json(&self, line: &str) -> Value {
        let (command, results, _) = self.command(line, true);
        command.await.unwrap_or_else(|error| panic!("{line}: {error}"));
        serde_json::from_str(&results.text()).unwrap()
    }

    pub async fn refused(&self, line: &str) -> CommandError {
        self.command(line, false).0.await.unwrap_err()
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Words,
}

#[derive(Subcommand)]
enum Words {
    #[command(subcommand)]
    Models(super::models::Models),
    #[command(flatten)]
    Other(Command),
}

pub fn ada() -> AuthorId {
    "ada".parse().unwrap()
}

/// Plans a job that would see half of the grounded samples.
struct Half;

#[async_trait]
impl NextVersions for Half {
    async fn collected(&self, _: &AuthorId) -> Result<Collected, PortError> {
        let key = "datasets.freeze.first_samples";
        Ok(Collected { new_samples: 34, needed: 50, key, deleted_share: 0.0, due: None, automatic: true })
    }
}

#[async_trait]
impl JobPlanner for Half {
    async fn plan(&self, _: &DatasetId, recipe: &Recipe) -> Result<PlannedRun, PortError> {
        let plan = Plan {
            recipe: recipe.clone(),
            samples: BTreeMap::from([("grounded".to_owned(), Fit { read: 30, too_long: 15, unseen: 4 })]),
            longest: 1_380,
            limit: 256,
            positions: 8_192,
            steps: 150,
            tokens: 210_000,
            evaluation_tokens: 20_000,
            memory_bytes: 2_600_000_000,
            parameters: 134_515_008,
            stages: Vec::new(),
        };
        let refused = plan.require_samples(0.01).err().map(|error| error.to_string());
        let folds = Some(PlannedFoldsView { folds: 5, steps: 600, tokens: 840_000, seconds: 1_050.0 });
        Ok(PlannedRun { plan, seconds: 1_260.0, folds, by_a_job: false, refused })
    }
}

/// Jobs on the base model `base`, for samples with prompts of the form [`PROMPTS`].
fn twin_queue(registry: &Registry) -> JobQueue {
    let ingredients = Ingredients { bases: vec!["base".to_owned()], prompts: Some(PROMPTS.to_owned()) };
    JobQueue::new(registry.clone(), "base", Recipe::default()).with_ingredients(ingredients)
}

/// No source and no dead letter.
struct Nothing;

impl SourceResolver for Nothing {
    fn resolve(&self, _: Option<&str>, location: &str) -> Result<(SourceKind, String), PortError> {
        Err(PortError::Invalid(format!("{location} is no source")))
    }

    fn kinds(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

#[async_trait]
impl DeadLetterAccess for Nothing {
    async fn list(
        &self,
        _: Option<&str>,
        _: Option<&DeadLetterCursor>,
        _: usize,
    ) -> Result<(Vec<DeadLetterView>, Option<DeadLetterCursor>), PortError> {
        Ok((Vec::new(), None))
    }

    async fn show(&self, _: &str) -> Result<Option<DeadLetterView>, PortError> {
        Ok(None)
    }

    async fn replay(&self, _: &str) -> Result<Option<String>, PortError> {
        Ok(None)
    }
}

/// The job that a line of `twin train` names.
pub fn job_of(output: &str) -> JobId {
    JobId(output.split(' ').next().unwrap().to_owned())
}
