//! What a question pays while a model version is loaded beside the one that answers, and takes over.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use chrono::Utc;
use serde_json::json;
use twin_artifacts::Artifacts;
use twin_registry::{
    By, DeploymentState, EvaluationOutcome, JobOutcome, ModelManifest, NewDataset, NewJob, NewModel, Registry,
};
use twin_schemas::{AuthorId, DatasetId, JobId, ModelId, Verdict};
use twin_sqlite::Database;
use twin_tests::TOPICS;

use crate::bench::{Bench, Results};
use crate::comparison::{Better, Comparison, percentile};
use crate::figure::Figure;
use crate::server::{AS_WRITTEN, AUTHOR, GENERATE, Server};

/// The version that is deployed has the weights of the base model: what it says costs the same.
const MODEL: &str = "models/smollm2-135m-instruct-f32";
/// Questions one after the other when nothing is loaded.
const QUIET: usize = 8;

/// Milliseconds of a question.
pub fn measure(bench: &Bench) -> Result<Results> {
    let short = [GENERATE, AS_WRITTEN, ("TWIN_LLM_MAX_TOKENS", "16"), ("TWIN_LLM_PROMPT_PASSAGES", "1")];
    let server = Server::start(&short)?;
    bench.runtime.block_on(async {
        server.push(TOPICS.iter().map(|topic| (topic.file.to_owned(), topic.text))).await?;
        server.settled(TOPICS.len()).await?;
        let database = Database::open(&server.data().join("twin.db"))?;
        let registry = twin_sqlite::registry(database).await?;
        let artifacts = Artifacts::in_folder(&server.data().join("artifacts"))?;
        let model = registered(&registry, &artifacts, &bench.cache.join(MODEL)).await?;
        questions(bench.rounds, &server, &registry, &model).await
    })
}

async fn questions(rounds: usize, server: &Server, registry: &Registry, model: &ModelId) -> Result<Results> {
    let author: AuthorId = AUTHOR.parse()?;
    ask(server).await?;
    let mut comparison = Comparison::new(
        "a question while a version is loaded and takes over",
        "ms, median",
        Better::Lower,
        "the same question when nothing is loaded",
    );
    let (mut asked, mut seconds) = (0, Vec::new());
    for _ in 0..rounds {
        let mut quiet = Vec::new();
        for _ in 0..QUIET {
            quiet.push(ask(server).await?);
        }
        let began = Instant::now();
        let number = registry.deploy(model, By::new("bench", "", Utc::now())).await?.number;
        let mut loaded = Vec::new();
        // A question that fails ends the measurement: there is always a warm model.
        while registry.production(&author).await?.is_none_or(|now| now.state == DeploymentState::Requested) {
            loaded.push(ask(server).await?);
        }
        let state = registry.production(&author).await?.context("a deployment")?;
        ensure!(state.number == number && state.state == DeploymentState::Serving, "{state:?}");
        seconds.push(began.elapsed().as_secs_f64());
        asked += loaded.len();
        let median = |times: &[f64]| percentile(times, 0.5).context("questions were asked");
        comparison.round(median(&loaded)?, median(&quiet)?);
        registry.roll_back(&author, By::new("bench", "", Utc::now())).await?;
    }
    let figures = vec![
        Figure::new("from the decision to the first answer of the new version", "s", seconds),
        Figure::once("questions answered meanwhile, of which failed: none", "questions", asked as f64),
    ];
    Ok(Results { comparisons: vec![comparison], figures })
}

async fn ask(server: &Server) -> Result<f64> {
    let began = Instant::now();
    let body = json!({ "author": AUTHOR, "question": TOPICS[0].question });
    server.post("/v1/query", &body).await?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

/// A version of these weights that was trained, evaluated and approved, as far as the registry knows, and rolled back.
async fn registered(registry: &Registry, artifacts: &Artifacts, weights: &Path) -> Result<ModelId> {
    let (author, dataset, job): (AuthorId, _, _) = (AUTHOR.parse()?, DatasetId("0".repeat(64)), JobId("0".repeat(64)));
    let new = NewDataset {
        prompts: None,
        dataset: dataset.clone(),
        author: author.clone(),
        manifest: "none".to_owned(),
        training_samples: 0,
        counts: BTreeMap::new(),
        reason: "bench".to_owned(),
        members: Vec::new(),
    };
    registry.add_dataset(new, Utc::now()).await?;
    let manifest = ModelManifest {
        author: author.clone(),
        job: job.clone(),
        dataset: dataset.clone(),
        base: String::new(),
        recipe: "{}".to_owned(),
        code_version: String::new(),
        steps: 0,
        evaluation_loss: None,
        seconds: 0.0,
        plan: None,
        merged: Some(artifacts.put_folder(weights).await?),
        adapter: Vec::new(),
        curves: Vec::new(),
        folds: Vec::new(),
    };
    let new = NewJob {
        job: job.clone(),
        author: author.clone(),
        dataset,
        base: String::new(),
        recipe: "{}".to_owned(),
        sweep: None,
        code_version: String::new(),
    };
    registry.queue_job(new, Utc::now()).await?;
    registry.start_job(&job, Utc::now()).await?;
    let made = NewModel { manifest: artifacts.put(serde_json::to_vec(&manifest)?).await? };
    let model = registry.finish_job(&job, 1, JobOutcome::Succeeded(Some(made)), Utc::now()).await?;
    let model = model.context("the job was running")?;
    registry.queue_evaluation(&model, Utc::now()).await?;
    let (report, page) = ("none".to_owned(), "none".to_owned());
    let outcome = EvaluationOutcome { verdict: Verdict::Passed, grounded: true, report, page };
    registry.finish_evaluation(&model, 0, outcome, Utc::now()).await?;
    registry.approve(&model, By::new("bench", "", Utc::now())).await?;
    registry.roll_back(&author, By::new("bench", "", Utc::now())).await?;
    Ok(model)
}
