//! The learning loop with every service twice: two full twins over Kafka on one data folder. At each step one of them, in
//! turn, stands still for longer than its leases and its place in the groups, and goes on as if nothing had happened. No
//! step is lost, none is done twice.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use twin_stack::{Kafka, TwinProcess};
use twin_tests::{Api, Twins, eventually, freeze, quick_broker, school, within};

/// Milliseconds after which a lease passes on. The groups notice an absence after a second.
const LEASE_MS: u64 = 1500;
/// What each step may take, on a machine that does four other things.
const PATIENCE: Duration = Duration::from_secs(600);

/// One of the two stands still, while the other is asked whether `what` has come about; then it goes on.
async fn without<T>(
    sleeper: &TwinProcess,
    other: &TwinProcess,
    what: &str,
    came_about: impl AsyncFn(&Api) -> Result<Option<T>>,
) -> Result<T> {
    let api = Api::new(other.base_url())?;
    freeze(sleeper).await?;
    tokio::time::sleep(Duration::from_millis(LEASE_MS * 3)).await;
    let found = within(PATIENCE, what, async || came_about(&api).await).await;
    sleeper.thaw()?;
    found
}

/// The author's newest value of a list, once it is in one of these states.
async fn newest_in(api: &Api, path: &str, list: &str, states: &[&str]) -> Result<Option<Value>> {
    let found = school::newest(api, path, list).await?;
    Ok(found.filter(|found| found["state"].as_str().is_some_and(|state| states.contains(&state))))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_on_two_twins_of_which_one_always_stands_still_makes_one_model_that_answers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let kafka = Kafka::start(quick_broker())?;
    let (log, lease) = (format!("kafka://{}", kafka.bootstrap()), LEASE_MS.to_string());
    let settings = [
        ("TWIN_LOG_URL", log.as_str()),
        ("TWIN_LOG_KAFKA_SESSION_TIMEOUT_MS", "1000"),
        ("TWIN_COORDINATION_LEASE_MS", lease.as_str()),
        ("TWIN_EVALUATOR_APPROVAL", "auto"),
    ];
    let mut twins = Twins::start(school::short_school(folder.path(), &settings)?, 2)?;
    let (first, second) = (&twins[0], &twins[1]);
    let author = "ada";
    school::publish(&twins.api()?, author).await?;

    let list = |kind: &str| format!("/v1/{kind}?author={author}");
    let (datasets, jobs, models) = (list("datasets"), list("jobs"), list("model-versions"));
    let deployments = format!("/v1/authors/{author}/deployments");
    without(first, second, "a version is frozen", async |api| school::newest(api, &datasets, "datasets").await).await?;
    let running = ["running", "succeeded"];
    without(second, first, "training runs", async |api| newest_in(api, &jobs, "jobs", &running).await).await?;
    let done = ["succeeded", "failed"];
    let job = without(first, second, "training ends", async |api| newest_in(api, &jobs, "jobs", &done).await).await?;
    ensure!(job["state"] == "succeeded", "{job}");
    let evaluated = ["evaluated", "approved"];
    let model = without(second, first, "the model is evaluated", async |api| {
        newest_in(api, &models, "model_versions", &evaluated).await
    })
    .await?;
    ensure!(model["verdict"] == "passed", "{model}");
    let serving = ["serving", "failed"];
    let deployment = without(first, second, "it is deployed", async |api| {
        newest_in(api, &deployments, "deployments", &serving).await
    })
    .await?;
    ensure!(deployment["state"] == "serving", "{deployment}");

    // Whichever worker answers, it is the new model's answer, once both have taken it up.
    let id = format!("{author}-v1");
    for twin in twins.iter() {
        let api = Api::new(twin.base_url())?;
        eventually("both workers answer with the version", async || {
            let question = ["What does a compiler do?"; 4];
            let answers = school::answers(&api, author, &question).await?;
            Ok(answers.iter().all(|(_, model)| *model == id).then_some(()))
        })
        .await?;
    }
    let api = twins.api()?;
    for (path, list) in
        [(datasets, "datasets"), (jobs, "jobs"), (models, "model_versions"), (deployments, "deployments")]
    {
        let found = api.get(&path).await?;
        ensure!(found[list].as_array().map(Vec::len) == Some(1), "{found}");
    }
    let decided = api.get(&format!("/v1/model-versions/{id}")).await?["decisions"].clone();
    let actions: Vec<_> = decided.as_array().context("decisions")?.iter().map(|made| made["action"].clone()).collect();
    ensure!(actions == [json!("deploy"), json!("approve")], "{decided}");
    ensure!(api.get("/v1/dlq").await?["dead_letters"] == json!([]));
    twins.terminate()
}
