//! Another base model under a twin that has learned: what serves goes on, a retraining is offered and taken, and versions of
//! the two base models are compared.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use twin_stack::{TwinOptions, TwinProcess, cache_folder};
use twin_tests::{Api, eventually, school, within};

const AUTHOR: &str = "ada";
const QUESTION: &str = "What does a compiler do?";
/// The default model.
const BASE: &str = "smollm2-135m-instruct-f32";
/// What each wait may take, on a machine that does other things.
const PATIENCE_S: u64 = 600;
/// Two steps: nothing is looked at but what becomes of them.
const RECIPE: &str = "rank = 4\nlearning_rate = 0.002\nwarmup_steps = 0\nepochs = 10\nmax_steps = 2\npack_tokens = 128\n\
    checkpoint_every = 2\neval_samples = 1\n";
/// Two samples of as many documents are compared, and are too few for a verdict but `inconclusive`.
const SHORT: [(&str, &str); 2] =
    [("TWIN_EVALUATOR_MEASURE_MAX_VOICE", "2"), ("TWIN_EVALUATOR_MEASURE_POLICY_MIN_SAMPLES", "10")];

/// The default model, which another tokenizer's configuration makes another one.
fn other_base(folder: &Path) -> Result<PathBuf> {
    let (like, base) = (cache_folder()?.join("models").join(BASE), folder.join("other-base"));
    fs::create_dir(&base)?;
    for entry in fs::read_dir(&like)? {
        let entry = entry?;
        symlink(entry.path(), base.join(entry.file_name()))?;
    }
    let path = base.join("tokenizer_config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path)?)?;
    config.as_object_mut().context("a configuration is an object")?.insert("revision".into(), json!("another"));
    fs::remove_file(&path)?;
    fs::write(&path, config.to_string())?;
    Ok(base)
}

/// A twin over that data which learns by [`RECIPE`], with these variables too.
fn twin(folder: &Path, data: &Path, variables: &[(&str, &str)]) -> Result<TwinProcess> {
    let variables: Vec<(&str, &str)> = SHORT.iter().chain(variables).copied().collect();
    let options = school::school_with(folder, RECIPE, &variables)?;
    TwinProcess::start(TwinOptions { data: Some(data.to_owned()), ..options })
}

/// The newest version, which is of that number, once it is evaluated.
async fn evaluated(twin: &TwinProcess, number: u32) -> Result<String> {
    let api = Api::new(twin.base_url())?;
    let path = format!("/v1/model-versions?author={AUTHOR}");
    within(Duration::from_secs(PATIENCE_S), "the version is evaluated", async || {
        let newest = school::newest(&api, &path, "model_versions").await?.unwrap_or_default();
        let is_it = newest["number"] == number && newest["state"] == "evaluated";
        Ok(is_it.then(|| newest["model"].as_str().unwrap_or_default().to_owned()))
    })
    .await
}

/// Who serves by the registry, and who answers.
async fn ensure_serves(api: &Api, model: &str) -> Result<()> {
    eventually("the version serves", async || {
        let newest = school::newest(api, &format!("/v1/authors/{AUTHOR}/deployments"), "deployments").await?;
        let newest = newest.unwrap_or_default();
        ensure!(newest["state"] != "failed", "{newest}");
        Ok((newest["state"] == "serving" && newest["model"] == model).then_some(()))
    })
    .await?;
    let (answer, by) = school::answers(api, AUTHOR, &[QUESTION]).await?.remove(0);
    ensure!(by == model, "{model} was to answer, it was {by}: {answer}");
    Ok(())
}

async fn learning(api: &Api) -> Result<Value> {
    api.get(&format!("/v1/authors/{AUTHOR}/learning")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_serves_outlives_its_base_model_and_is_compared_with_one_of_the_next() -> Result<()> {
    let (folder, data) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut before = twin(folder.path(), data.path(), &[])?;
    let api = Api::new(before.base_url())?;
    school::publish(&api, AUTHOR).await?;
    let first = evaluated(&before, 1).await?;
    let decision = json!({ "by": "grace", "why": "a test" });
    api.post(&format!("/v1/model-versions/{first}/approve"), &decision).await?;
    ensure_serves(&api, &first).await?;
    ensure!(learning(&api).await?["offer"] == Value::Null, "nothing has changed");
    let recipe = RECIPE.replace("rank = 4", "rank = 2");
    api.post("/v1/jobs", &json!({ "author": AUTHOR, "recipe": recipe })).await?;
    let second = evaluated(&before, 2).await?;
    before.terminate()?;

    let base = other_base(folder.path())?;
    let mut after = twin(folder.path(), data.path(), &[("TWIN_TRAINER_BASE", &base.display().to_string())])?;
    let api = Api::new(after.base_url())?;
    ensure_serves(&api, &first).await?;
    let offered = learning(&api).await?;
    ensure!(offered["offer"] == json!({ "model": first, "changed": ["base"], "version_first": false }), "{offered}");
    eventually("the offer is counted", async || {
        let offers = api.metrics().await?.sum("twin_trainer_retraining_offers", &["changed=\"base\""]);
        Ok((offers == 1.0).then_some(()))
    })
    .await?;
    let jobs = api.get(&format!("/v1/jobs?author={AUTHOR}")).await?;
    ensure!(jobs["jobs"].as_array().map(Vec::len) == Some(2), "nobody is trained by that: {jobs}");

    // A version of the base model of before can still be evaluated.
    let more = json!({ "by": "grace", "max_voice": 3 });
    api.post(&format!("/v1/model-versions/{second}/evaluate"), &more).await?;
    within(Duration::from_secs(PATIENCE_S), "it is evaluated again", async || {
        let shown = api.get(&format!("/v1/model-versions/{second}")).await?;
        ensure!(shown["evaluation"]["state"] != "failed", "{shown}");
        Ok((shown["evaluation"]["state"] == "done").then_some(()))
    })
    .await?;
    let report = api.get(&format!("/v1/model-versions/{second}/report")).await?;
    ensure!(report["models"]["base"] == "other-base", "{report}");
    let note = report["notes"][0].as_str().unwrap_or_default();
    ensure!(note.contains(&format!("{second} was trained on another base model than other-base")), "{report}");

    let trained = after.command(&["train", "--author", AUTHOR, "--wait"]).output()?;
    ensure!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    let third = evaluated(&after, 3).await?;
    let report = api.get(&format!("/v1/model-versions/{third}/report")).await?;
    ensure!(report["models"]["production"] == first.as_str() && report["notes"] == Value::Null, "{report}");
    let comparisons = report["comparisons"].as_array().context("a report has metrics")?;
    let bits =
        comparisons.iter().find(|comparison| comparison["metric"] == "bits_per_byte").context("bits per byte")?;
    ensure!(bits["production"].as_f64().is_some() && bits["difference"]["mean"].as_f64().is_some(), "{bits}");
    let waits = learning(&api).await?;
    ensure!(waits["offer"] == Value::Null && waits["parts"][5]["standing"] == "waits", "{waits}");

    // What serves goes on until somebody has decided, after another restart too.
    after.terminate()?;
    after.restart()?;
    let api = Api::new(after.base_url())?;
    ensure_serves(&api, &first).await?;
    api.post(&format!("/v1/model-versions/{third}/approve"), &decision).await?;
    ensure_serves(&api, &third).await?;
    let done = learning(&api).await?;
    ensure!(done["parts"][5]["standing"] == "done", "{done}");
    Ok(())
}
