//! The commands against a real gateway over a real registry and artifact store: what they read is what it writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use clap::{Parser, Subcommand};
use serde_json::{Value, json};
use tempfile::TempDir;
use twin_artifacts::Artifacts;
use twin_gateway::{
    DeadLetterDesk, DeadLetterView, Dependencies, Gateway, Learning, LearningDesk, Options, SourceResolver,
    TrainRequest,
};
use twin_registry::{JobOutcome, JobProgress, JobRow, Metric, NewDataset, NewJob, NewModel, Registry};
use twin_schemas::{AuthorId, DatasetId, DocumentId, JobId, ModelId, Revision, SourceKind, Verdict};
use twin_sqlite::Database;
use twin_stream::sqlite::SqliteLog;
use twin_telemetry::Health;
use twin_warehouse::sqlite::SqliteWarehouse;

use super::super::out::testing::{Written, captured};
use super::super::{Command, Context, dispatch};
use crate::client::{Client, testing::serve};
use crate::error::CommandError;

/// A document's id, as it is typed.
const DOCUMENT: &str = "00000000-0000-0000-0000-000000000007";
const LINE: &str = "{\"messages\": []}\n";

struct Twin {
    client: Client,
    registry: Registry,
    artifacts: Artifacts,
    folder: TempDir,
}

impl Twin {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let database = Database::open(&folder.path().join("twin.db")).unwrap();
        let registry = Registry::open(database.clone()).await.unwrap();
        let artifacts = Artifacts::in_folder(&folder.path().join("artifacts")).unwrap();
        let desk = Arc::new(Nothing(Some(registry.clone())));
        let dependencies = Dependencies {
            log: Arc::new(SqliteLog::open(database.clone(), 1 << 20).await.unwrap()),
            warehouse: Arc::new(SqliteWarehouse::open(database).await.unwrap()),
            sources: Arc::new(Nothing(None)),
            dead_letters: Arc::new(Nothing(None)),
            health: Health::default(),
            registry: twin_telemetry::Registry::new(),
            stages: Vec::new(),
            default_interval_s: 900,
            learning: Some(Learning { registry: registry.clone(), artifacts: artifacts.clone(), desk }),
        };
        let client = serve(Gateway::new(Options::default(), dependencies).unwrap().router()).await;
        let twin = Self { client, registry, artifacts, folder };
        let document = json!({"author": "ada", "category": "post", "natural_key": "first", "text": "hello"});
        twin.client.post(&["documents"], &document).await.unwrap();
        twin
    }

    /// A version whose id repeats the digit.
    async fn freeze(&self, digit: &str) {
        let name = self.artifacts.put(LINE.repeat(2).into_bytes()).await.unwrap();
        let file = json!({"name": "sft/train.jsonl", "parts": [name], "lines": 2, "bytes": 2 * LINE.len()});
        let manifest = json!({"files": [file]}).to_string().into_bytes();
        let new = NewDataset {
            dataset: DatasetId(digit.repeat(64)),
            author: ada(),
            manifest: self.artifacts.put(manifest).await.unwrap(),
            training_samples: 12,
            counts: BTreeMap::from([("voice".to_owned(), 12)]),
            reason: "asked for".to_owned(),
            members: vec![(DocumentId(DOCUMENT.parse().unwrap()), Revision(3))],
        };
        self.registry.add_dataset(new, Utc::now()).await.unwrap();
    }

    /// Starts a queued job and notes these losses.
    async fn start_job(&self, job: &JobId, losses: &[f64]) {
        assert!(self.registry.start_job(job, Utc::now()).await.unwrap());
        let metrics = losses.iter().zip(1..).map(|(value, step)| Metric { name: "loss".into(), step, value: *value });
        self.registry.add_metrics(job, metrics.collect()).await.unwrap();
        let (steps, loss) = (losses.len() as u64, losses.last().copied());
        let progress = JobProgress { step: steps, steps, loss, ..JobProgress::default() };
        self.registry.note_job_progress(job, progress).await.unwrap();
    }

    /// Ends a running job with a model.
    async fn finish_job(&self, job: &JobId) -> ModelId {
        let manifest = self.artifacts.put(b"{}".to_vec()).await.unwrap();
        let outcome = JobOutcome::Succeeded(Some(NewModel { manifest }));
        self.registry.finish_job(job, outcome, Utc::now()).await.unwrap().unwrap()
    }

    async fn evaluate(&self, model: &ModelId) {
        self.registry.start_evaluation(model).await.unwrap();
        let report = json!({
            "verdict": "passed", "models": {"candidate": model, "base": "small"},
            "checks": [{"kind": "primary", "metric": "loss_per_token", "outcome": "passed", "reason": "it fell"}],
        });
        let report = self.artifacts.put(report.to_string().into_bytes()).await.unwrap();
        let page = self.artifacts.put(b"<!doctype html>".to_vec()).await.unwrap();
        self.registry.finish_evaluation(model, Verdict::Passed, &report, &page, Utc::now()).await.unwrap();
    }

    /// Runs a command line; its results and its notes are written there.
    fn command<'a>(
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
    async fn run(&self, line: &str) -> String {
        let (command, results, _) = self.command(line, false);
        command.await.unwrap_or_else(|error| panic!("{line}: {error}"));
        results.text()
    }

    async fn run_json(&self, line: &str) -> Value {
        let (command, results, _) = self.command(line, true);
        command.await.unwrap_or_else(|error| panic!("{line}: {error}"));
        serde_json::from_str(&results.text()).unwrap()
    }

    async fn refused(&self, line: &str) -> CommandError {
        self.command(line, false).0.await.unwrap_err()
    }

    fn path(&self, name: &str) -> String {
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

fn ada() -> AuthorId {
    "ada".parse().unwrap()
}

/// No source and no dead letter; with a registry, jobs that are only queued.
struct Nothing(Option<Registry>);

impl SourceResolver for Nothing {
    fn resolve(&self, _: Option<&str>, location: &str) -> Result<(SourceKind, String), String> {
        Err(format!("{location} is no source"))
    }

    fn kinds(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

#[async_trait]
impl DeadLetterDesk for Nothing {
    async fn list(&self, _: Option<&str>, _: usize) -> Result<Vec<DeadLetterView>, String> {
        Ok(Vec::new())
    }

    async fn show(&self, _: &str) -> Result<Option<DeadLetterView>, String> {
        Ok(None)
    }

    async fn replay(&self, _: &str) -> Result<Option<String>, String> {
        Ok(None)
    }
}

#[async_trait]
impl LearningDesk for Nothing {
    async fn diff(&self, a: &str, b: &str) -> Result<Value, String> {
        Ok(json!({"from": a, "to": b, "added": [DOCUMENT], "options_changed": true}))
    }

    async fn train(&self, request: TrainRequest) -> Result<JobRow, String> {
        let recipe = request.recipe.unwrap_or_else(|| "rank = 8\n".to_owned());
        let job = JobId::of(&request.dataset, "base", &recipe);
        let new = NewJob {
            job: job.clone(),
            author: request.author,
            dataset: request.dataset,
            base: "base".into(),
            recipe,
            sweep: None,
            code_version: "1.2.3".into(),
        };
        let registry = self.0.as_ref().ok_or("no registry")?;
        registry.queue_job(new, Utc::now()).await.map_err(|error| error.to_string())?;
        registry.job(&job.0).await.map_err(|error| error.to_string())?.ok_or_else(|| "gone".to_owned())
    }

    async fn sweep(&self, author: &AuthorId, sweep: &str) -> Result<Vec<JobRow>, String> {
        let registry = self.0.as_ref().ok_or("no registry")?;
        let newest = registry.newest_dataset(author).await.map_err(|error| error.to_string())?;
        let dataset = newest.ok_or("no dataset")?.dataset;
        let mut jobs = Vec::new();
        for recipe in sweep.lines() {
            let request = TrainRequest {
                author: author.clone(),
                dataset: dataset.clone(),
                recipe: Some(self.check_recipe(recipe)?),
            };
            jobs.push(self.train(request).await?);
        }
        Ok(jobs)
    }

    fn check_recipe(&self, recipe: &str) -> Result<String, String> {
        toml::from_str::<toml::Table>(recipe).map(|table| table.to_string()).map_err(|error| error.to_string())
    }
}

/// The job that a line of `twin train` names.
fn job_of(output: &str) -> JobId {
    JobId(output.split(' ').next().unwrap().to_owned())
}

#[tokio::test]
async fn datasets_are_frozen_listed_compared_and_exported() {
    let twin = Twin::start().await;
    let asked = twin.run("datasets freeze --author ada --by Grace").await;
    assert_eq!(asked, "a dataset version of ada is asked for by Grace\n");
    let (freeze, results, _) = twin.command("datasets freeze --author ada --by Grace --wait", false);
    let author = ada();
    let answer = async {
        // The command may ask after the first answer: that one is for the request before.
        loop {
            twin.registry.answer_freeze(&author, "nothing is new").await.unwrap();
        }
    };
    tokio::select! {
        frozen = freeze => frozen.unwrap(),
        () = answer => {}
    }
    assert_eq!(results.text(), "nothing is new\n");

    twin.freeze("a").await;
    twin.freeze("b").await;
    let listed = twin.run("datasets list --author ada --limit 5").await;
    assert!(listed.contains("bbbbbbbbbbbb  ada           2       12          1        0"), "{listed}");
    let shown = twin.run("datasets show aa").await;
    assert!(shown.contains("12 voice") && shown.contains("sft/train.jsonl      2     34"), "{shown}");
    assert_eq!(twin.run_json("datasets show aa").await["dataset"]["number"], 1);
    let difference = twin.run("datasets diff aa bb").await;
    assert!(difference.starts_with("aaaaaaaaaaaa -> bbbbbbbbbbbb\n\n1 document added"), "{difference}");
    let folder = twin.path("export");
    let exported = twin.run(&format!("datasets export aa {folder}")).await;
    assert!(exported.starts_with("1 file (34 bytes) and manifest.json in "), "{exported}");
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    assert_eq!(read("sft/train.jsonl"), LINE.repeat(2));
    assert!(read("manifest.json").contains("sft/train.jsonl"));
    assert!(matches!(twin.refused("datasets show ff").await, CommandError::NotFound(_)));
}

#[tokio::test]
async fn a_job_is_queued_stopped_tried_again_and_followed_to_its_end() {
    let twin = Twin::start().await;
    let early = twin.refused("train --author ada").await;
    assert!(early.to_string().contains("no dataset version yet"), "{early}");
    twin.freeze("a").await;
    let job = job_of(&twin.run("train --author ada").await);
    let id = job.short();
    assert!(twin.run("jobs list --state queued").await.contains(id));
    assert_eq!(twin.run(&format!("jobs cancel {id} --by Grace")).await, format!("job {id} is stopped\n"));
    let late = twin.refused(&format!("jobs cancel {id} --by Grace")).await;
    assert_eq!((late.exit_code(), late.to_string().contains("has ended already")), (1, true));
    let stopped = twin.refused(&format!("jobs watch {id}")).await;
    assert_eq!(stopped.to_string(), format!("job {id} was stopped: cancelled by Grace; next: twin jobs retry {id}"));
    assert_eq!(twin.run(&format!("jobs retry {id}")).await, format!("job {id} is queued again\n"));
    twin.start_job(&job, &[3.0, 2.0]).await;

    let (watch, results, notes) = twin.command(&format!("jobs watch {id}"), false);
    let finish = async {
        while !notes.text().contains("is running") {
            tokio::task::yield_now().await;
        }
        twin.finish_job(&job).await
    };
    let (watched, model) = tokio::join!(watch, finish);
    watched.unwrap();
    assert!(results.text().starts_with(&format!("job {id} succeeded in ")), "{}", results.text());
    assert!(results.text().ends_with(&format!("loss 2.000: {model}\n")), "{}", results.text());
    let shown = twin.run(&format!("jobs show {id}")).await;
    assert!(shown.contains("tried       1 time") && shown.ends_with("recipe:\n  rank = 8\n"), "{shown}");
    assert_eq!(twin.run_json("train --dataset aa --wait --author ada").await["model"], "ada-v1");
}

#[tokio::test]
async fn the_trials_of_a_sweep_are_queued_and_a_wrong_recipe_is_a_usage_error() {
    let twin = Twin::start().await;
    twin.freeze("a").await;
    let (sweep, wrong) = (twin.path("sweep.toml"), twin.path("wrong.toml"));
    std::fs::write(&sweep, "rank = 4\nrank = 16\n").unwrap();
    std::fs::write(&wrong, "rank = [").unwrap();
    assert_eq!(twin.run(&format!("train --author ada --sweep {sweep}")).await.lines().count(), 2);
    let refused = twin.refused(&format!("train --author ada --recipe {wrong}")).await;
    assert_eq!((refused.exit_code(), refused.to_string().contains("recipe:")), (64, true));
    assert_eq!(twin.refused("train --author ada --recipe /nowhere").await.exit_code(), 64);
}

#[tokio::test]
async fn two_runs_are_compared_by_parameters_values_and_curves() {
    let twin = Twin::start().await;
    twin.freeze("a").await;
    let recipe = twin.path("recipe.toml");
    std::fs::write(&recipe, "rank = 16\n").unwrap();
    let first = job_of(&twin.run("train --author ada").await);
    let second = job_of(&twin.run(&format!("train --author ada --recipe {recipe}")).await);
    twin.start_job(&first, &[3.0, 2.5, 2.0]).await;
    twin.start_job(&second, &[3.0, 2.0, 1.5]).await;
    let (a, b) = (first.short(), second.short());
    assert!(twin.run("runs list").await.contains("1.500"));
    let shown = twin.run(&format!("runs show {a}")).await;
    assert!(shown.contains("loss by step\n     3.000 |"), "{shown}");
    let picture = twin.path("loss.svg");
    let compared = twin.run(&format!("runs compare {a} {b} --svg {picture}")).await;
    assert!(compared.contains("recipe.rank  8  16") && compared.contains("-0.5000"), "{compared}");
    assert_eq!(std::fs::read_to_string(&picture).unwrap().matches("<polyline").count(), 2);
    assert_eq!(twin.run_json(&format!("runs compare {a} {b}")).await["metrics"]["loss"], json!({"a": 2.0, "b": 1.5}));
    let nothing = twin.refused(&format!("runs compare {a} {b} --metric speed --svg {picture}")).await;
    assert!(matches!(nothing, CommandError::NotFound(_)), "{nothing}");
}

#[tokio::test]
async fn a_model_is_judged_deployed_and_rolled_back() {
    let twin = Twin::start().await;
    twin.freeze("a").await;
    let job = job_of(&twin.run("train --author ada").await);
    twin.start_job(&job, &[3.0, 2.0]).await;
    let model = twin.finish_job(&job).await;
    assert!(twin.refused("models approve ada-v1 --by Grace").await.to_string().contains("not evaluated yet"));
    assert!(matches!(twin.refused("models report ada-v1").await, CommandError::NotFound(_)));
    assert_eq!(twin.run("models evaluate ada-v1").await, "the evaluation of ada-v1 is queued\n");
    twin.evaluate(&model).await;
    assert!(twin.run("models report ada-v1").await.contains("primary  loss_per_token  passed"));
    let page = twin.path("report.html");
    twin.run(&format!("models report ada-v1 --html {page}")).await;
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "<!doctype html>");

    assert!(twin.refused("models deploy ada-v1 --by Grace").await.to_string().contains("nobody has approved it"));
    let approved = twin.run("models approve ada-v1 --by Grace --why good").await;
    assert_eq!(approved, "deployment 1 of ada: ada-v1 is requested\n");
    assert!(twin.refused("models reject ada-v1 --by Grace").await.to_string().contains("roll back first"));
    let shown = twin.run("models show ada-v1").await;
    assert!(shown.contains("answers now  yes") && shown.contains("approve by Grace: good"), "{shown}");
    assert!(twin.run("models list --author ada").await.contains("ada-v1  ada     approved  passed      yes"));
    let lineage = twin.run("models lineage ada-v1").await;
    assert!(lineage.contains(&job.0) && lineage.contains(&format!("{DOCUMENT}         3")), "{lineage}");
    assert_eq!(twin.run(&format!("models taught-by {DOCUMENT}")).await, "ada-v1\n");
    let back = twin.run("models rollback --author ada --by Grace").await;
    assert_eq!(back, "deployment 2 of ada: the base model is requested\n");
    assert!(
        twin.refused("models rollback --author ada --by Grace").await.to_string().contains("nothing to go back to")
    );
    assert!(twin.run("models reject ada-v1 --by Grace").await.contains("will never serve"));
}
