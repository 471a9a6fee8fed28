//! The learning loop over Kafka with its processes killed at each step, the broker too: no step is lost, none is done
//! twice.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use twin_stack::{Kafka, TwinProcess};
use twin_tests::{Api, eventually, quick_broker, school};

/// What each wait may take, on a machine that does four other things.
const PATIENCE_S: u64 = 600;

async fn child(twin: &TwinProcess, kind: &str) -> Result<u32> {
    eventually(&format!("a process does {kind}"), async || Ok(school::worker(twin, kind))).await
}

fn kill(pid: u32) -> Result<()> {
    let status = Command::new("kill").args(["-9", &pid.to_string()]).status()?;
    ensure!(status.success(), "kill -9 {pid} ended with {status}");
    Ok(())
}

fn restart(twin: &mut TwinProcess) -> Result<()> {
    twin.kill9()?;
    twin.restart()
}

/// Waits until the author's job has done at least so many steps, and returns it.
async fn trained(twin: &TwinProcess, jobs: &str, step: u64) -> Result<Value> {
    let api = Api::new(twin.base_url())?;
    eventually(&format!("step {step} is done"), async || {
        let job = school::newest(&api, jobs, "jobs").await?.unwrap_or_default();
        ensure!(job["state"] != "failed", "{job}");
        let done = job["progress"]["step"].as_u64().is_some_and(|done| done >= step);
        Ok((done || job["state"] == "succeeded").then_some(job))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_whose_processes_are_killed_at_each_step_ends_with_one_model_that_answers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let kafka = Kafka::start(quick_broker())?;
    let log = format!("kafka://{}", kafka.bootstrap());
    let settings = [
        ("TWIN_LOG_URL", log.as_str()),
        ("TWIN_LOG_KAFKA_SESSION_TIMEOUT_MS", "1000"),
        ("TWIN_EVALUATOR_APPROVAL", "auto"),
    ];
    let mut twin = TwinProcess::start(school::short_school(folder.path(), &settings)?)?;
    let author = "ada";
    school::publish(&Api::new(twin.base_url())?, author).await?;
    // While the documents are on their way to the dataset.
    restart(&mut twin)?;
    let (datasets, jobs) = (format!("/v1/datasets?author={author}"), format!("/v1/jobs?author={author}"));
    school::reaches_any(&twin, &datasets, "datasets", PATIENCE_S).await?;
    restart(&mut twin)?;

    // The job goes on without its parent, and is found again.
    let worker = child(&twin, "train").await?;
    trained(&twin, &jobs, 2).await?;
    restart(&mut twin)?;
    ensure!(child(&twin, "train").await? == worker, "another process works on the job");
    // The job dies, and goes on from its last checkpoint.
    trained(&twin, &jobs, 4).await?;
    kill(worker)?;
    // And the broker: the model's event waits in the outbox until there is one again.
    kafka.kill()?;
    trained(&twin, &jobs, 10).await?;
    kafka.restart()?;
    let job = school::reaches(&twin, &jobs, "jobs", &["succeeded", "failed"], PATIENCE_S).await?;
    ensure!(job["state"] == "succeeded" && job["attempts"] == 2, "{job}");
    restart(&mut twin)?;

    // So does the evaluation.
    let worker = child(&twin, "evaluate").await?;
    restart(&mut twin)?;
    kill(worker)?;
    let models = format!("/v1/model-versions?author={author}");
    let model = school::reaches(&twin, &models, "model_versions", &["evaluated", "approved"], PATIENCE_S).await?;
    restart(&mut twin)?;
    let id = format!("{author}-v1");
    ensure!(model["verdict"] == "passed", "{model}");
    let deployments = format!("/v1/authors/{author}/deployments");
    school::reaches(&twin, &deployments, "deployments", &["serving"], PATIENCE_S).await?;
    restart(&mut twin)?;

    let api = Api::new(twin.base_url())?;
    let answers = school::answers(&api, author, &["What does a compiler do?"]).await?;
    ensure!(answers[0].1 == id, "{} answers after the restart", answers[0].1);
    for (path, list) in
        [(datasets, "datasets"), (jobs, "jobs"), (models, "model_versions"), (deployments, "deployments")]
    {
        let found = api.get(&path).await?;
        ensure!(found[list].as_array().map(Vec::len) == Some(1), "{found}");
    }
    let decided = api.get(&format!("/v1/model-versions/{id}")).await?["decisions"].clone();
    let actions: Vec<_> = decided.as_array().context("decisions")?.iter().map(|made| made["action"].clone()).collect();
    ensure!(actions == [json!("deploy"), json!("approve")], "{decided}");
    Ok(())
}
