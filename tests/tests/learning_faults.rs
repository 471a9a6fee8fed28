//! What goes wrong on the way to a model ends in a state that is told and with a reason, and goes on when it is mended.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use twin_schemas::Topic;
use twin_sqlite::{Database, SqliteLog};
use twin_stack::{TwinOptions, TwinProcess, cache_folder, default_binary};
use twin_tests::{Api, append_again, bound, bounded, eventually, school};

/// What each wait may take, on a machine that does other things.
const PATIENCE_S: u64 = 300;
/// A dozen training steps would fit, two checkpoints do not.
const ROOM: u64 = 1 << 20;
/// Six steps, and a checkpoint after every second.
const RECIPE: &str = "rank = 8\nlearning_rate = 0.002\nwarmup_steps = 0\nepochs = 10\nmax_steps = 6\npack_tokens = 128\n\
    checkpoint_every = 2\neval_samples = 1\n";
/// Of the evaluation no more than that it ends: too few samples for a verdict but `inconclusive`.
const SHORT: [(&str, &str); 4] = [
    ("TWIN_TRAINER_AUTOMATIC", "false"),
    ("TWIN_LLM_MAX_TOKENS", "8"),
    ("TWIN_EVALUATOR_MEASURE_MAX_VOICE", "1"),
    ("TWIN_EVALUATOR_MEASURE_POLICY_MIN_SAMPLES", "10"),
];
/// Nobody is asked anything: no local model needs to be loaded.
const NOBODY: (&str, &str) = ("TWIN_LLM_ENDPOINT", "http://127.0.0.1:9/v1");
/// Above the length of any event here.
const MAX_VALUE_BYTES: usize = 1 << 20;
/// The default model.
const BASE: &str = "smollm2-135m-instruct-f32";

/// How a command ended, and all that it wrote.
fn command(twin: &TwinProcess, arguments: &[&str]) -> Result<(bool, String)> {
    let output = twin.command(arguments).output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

fn ensure_has(text: &str, parts: &[&str]) -> Result<()> {
    let missing: Vec<&&str> = parts.iter().filter(|part| !text.contains(**part)).collect();
    ensure!(missing.is_empty(), "{missing:?} not in: {text}");
    Ok(())
}

/// The author's job, when it has ended.
async fn ended(twin: &TwinProcess, author: &str) -> Result<Value> {
    let jobs = format!("/v1/jobs?author={author}");
    school::reaches(twin, &jobs, "jobs", &["succeeded", "failed"], PATIENCE_S).await
}

async fn ensure_none(api: &Api, author: &str, lists: &[(&str, &str)]) -> Result<()> {
    for (path, list) in lists {
        let found = api.get(&format!("/v1/{path}?author={author}")).await?;
        ensure!(found[list] == json!([]), "{found}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_author_of_too_little_is_told_so_and_nothing_is_made() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let twin = TwinProcess::start(school::school(folder.path(), &[NOBODY])?)?;
    let api = Api::new(twin.base_url())?;
    school::publish_some(&api, "brief", 3).await?;

    for arguments in [&["datasets", "freeze", "--author", "nobody", "--wait"][..], &["train", "--author", "nobody"]] {
        let (success, said) = command(&twin, arguments)?;
        ensure!(!success, "{said}");
        ensure_has(
            &said,
            &["there is no author \"nobody\"", "`twin sources add` or `twin documents push` brings the first"],
        )?;
    }
    // A source, and nothing in it.
    let (empty, nothing) = ("empty", tempfile::tempdir()?);
    let (success, said) =
        command(&twin, &["sources", "add", "--author", empty, &nothing.path().display().to_string()])?;
    ensure!(success, "{said}");
    let outcome = school::freeze(&api, empty).await?;
    ensure_has(&outcome, &["empty has no documents", "push documents first"])?;
    let (success, said) = command(&twin, &["datasets", "freeze", "--author", empty, "--wait"])?;
    ensure!(!success, "{said}");
    ensure_has(&said, &[&outcome])?;

    let outcome = eventually("the documents are collected", async || {
        let outcome = school::freeze(&api, "brief").await?;
        Ok(outcome.contains("3 documents").then_some(outcome))
    })
    .await?;
    ensure_has(&outcome, &["training samples, a dataset needs 10 (datasets.build.min_samples)"])?;
    let (success, said) = command(&twin, &["datasets", "freeze", "--author", "brief", "--wait"])?;
    ensure!(!success, "{said}");
    ensure_has(&said, &[&outcome])?;
    for author in [empty, "brief"] {
        let (success, said) = command(&twin, &["train", "--author", author])?;
        ensure!(!success, "{said}");
        let next = format!("twin datasets freeze --author {author} --wait");
        ensure_has(&said, &[&format!("{author} has no dataset version yet"), &next])?;
        ensure_none(&api, author, &[("datasets", "datasets"), ("jobs", "jobs")]).await?;
    }
    Ok(())
}

/// A model of one layer, with weights of zero, the default one's tokens and all but one of its tensors.
fn base_without(folder: &Path, missing: &str) -> Result<PathBuf> {
    let (like, base) = (cache_folder()?.join("models").join(BASE), folder.join("base"));
    fs::create_dir(&base)?;
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(like.join(name), base.join(name))?;
    }
    let mut config: Value = serde_json::from_slice(&fs::read(like.join("config.json"))?)?;
    let words = config["vocab_size"].as_u64().context("vocab_size")?;
    for (name, value) in [
        ("hidden_size", 8),
        ("intermediate_size", 8),
        ("num_hidden_layers", 1),
        ("num_attention_heads", 1),
        ("num_key_value_heads", 1),
        ("head_dim", 8),
    ] {
        config[name] = json!(value);
    }
    fs::write(base.join("config.json"), config.to_string())?;
    let mut shapes = BTreeMap::from([("model.embed_tokens.weight".to_owned(), vec![words, 8])]);
    shapes.insert("model.norm.weight".to_owned(), vec![8]);
    for name in ["input_layernorm", "post_attention_layernorm"] {
        shapes.insert(format!("model.layers.0.{name}.weight"), vec![8]);
    }
    for name in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"] {
        shapes.insert(format!("model.layers.0.{name}.weight"), vec![8, 8]);
    }
    for name in ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"] {
        shapes.insert(format!("model.layers.0.{name}.weight"), vec![8, 8]);
    }
    shapes.remove(missing).with_context(|| format!("the model has no {missing}"))?;
    write_zeros(&base.join("model.safetensors"), &shapes)?;
    Ok(base)
}

/// Writes a safetensors file (<https://github.com/huggingface/safetensors#format>).
fn write_zeros(path: &Path, shapes: &BTreeMap<String, Vec<u64>>) -> Result<()> {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in shapes {
        let begin = end;
        end += 4 * shape.iter().product::<u64>();
        header.insert(name.clone(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [begin, end] }));
    }
    let header = Value::Object(header).to_string();
    fs::write(path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat())?;
    fs::OpenOptions::new().write(true).open(path)?.set_len(8 + header.len() as u64 + end)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_model_that_lacks_a_tensor_fails_the_job_by_the_tensors_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let missing = "model.layers.0.mlp.up_proj.weight";
    let base = base_without(folder.path(), missing)?.display().to_string();
    let twin = TwinProcess::start(school::school(folder.path(), &[NOBODY, ("TWIN_TRAINER_BASE", &base)])?)?;
    let (api, author) = (Api::new(twin.base_url())?, "ada");
    school::publish(&api, author).await?;
    let job = ended(&twin, author).await?;
    let reason = format!("the model's files hold no tensor `{missing}`");
    ensure!(job["state"] == "failed" && job["reason"] == reason.as_str() && job["attempts"] == 1, "{job}");
    let (success, said) = command(&twin, &["train", "--author", author, "--wait"])?;
    ensure!(!success, "{said}");
    ensure_has(&said, &[&reason, "next: twin jobs retry"])?;
    ensure_none(&api, author, &[("model-versions", "model_versions")]).await
}

/// Turns one bit in the middle of a file over, in place. Done twice, the file is as it was.
fn damage(path: &Path) -> Result<()> {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).with_context(|| path.display().to_string())?;
    let middle = file.metadata()?.len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle)?;
    file.write_all_at(&[byte[0] ^ 1], middle)?;
    Ok(())
}

/// Where an artifact of the twin lies.
fn stored(twin: &TwinProcess, artifact: &str) -> Result<PathBuf> {
    let digest = artifact.strip_prefix("sha256:").with_context(|| artifact.to_owned())?;
    Ok(twin.data().join("artifacts").join(&digest[..2]).join(digest))
}

/// The artifact that holds the training samples of the author's newest dataset.
async fn training_samples(api: &Api, author: &str) -> Result<String> {
    let newest = school::newest(api, &format!("/v1/datasets?author={author}"), "datasets").await?;
    let id = newest.context("no dataset")?["dataset"].as_str().context("no id")?.to_owned();
    let detail = api.get(&format!("/v1/datasets/{id}")).await?;
    let files = detail["manifest"]["files"].as_array().context("files")?;
    let file = files.iter().find(|file| file["name"] == "sft/train.jsonl").context("no training samples")?;
    Ok(file["parts"][0].as_str().context("no part")?.to_owned())
}

/// A byte of the dataset is wrong: the job fails and names the artifact, and a version that is frozen again mends it.
async fn trains_on_no_damaged_samples(twin: &TwinProcess, author: &str) -> Result<()> {
    let api = Api::new(twin.base_url())?;
    let samples = training_samples(&api, author).await?;
    damage(&stored(twin, &samples)?)?;
    let (success, said) = command(twin, &["train", "--author", author, "--wait"])?;
    ensure!(!success, "{said}");
    ensure_has(&said, &[&format!("failed: artifact {samples} is damaged"), "next: twin jobs retry"])?;
    let job = ended(twin, author).await?;
    ensure!(job["state"] == "failed" && job["attempts"] == 1, "{job}");
    let outcome = school::freeze(&api, author).await?;
    ensure_has(&outcome, &["nothing has changed since version 1"])
}

/// The disk takes no second checkpoint: the job fails and says so, and with room it goes on from the first.
async fn goes_on_when_the_disk_has_room(twin: &TwinProcess, author: &str) -> Result<()> {
    let api = Api::new(twin.base_url())?;
    let id = ended(twin, author).await?["job"].as_str().context("no id")?.to_owned();
    let folder = twin.data().join("jobs/train").join(&id);
    let checkpoints = folder.join("checkpoints");
    api.post(&format!("/v1/jobs/{id}/retry"), &json!({})).await?;
    eventually("there is a checkpoint", async || Ok(checkpoints.join("step-00000002").exists().then_some(()))).await?;
    bound(school::worker(twin, "train").context("nobody trains")?, Some(ROOM))?;

    let job = ended(twin, author).await?;
    let reason = job["reason"].as_str().unwrap_or_default();
    ensure!(job["state"] == "failed" && job["attempts"] == 2, "{job}");
    ensure_has(reason, &["the disk is full", &checkpoints.display().to_string(), "make room", "try the job again"])?;
    ensure!(!checkpoints.join("partial").exists(), "half a checkpoint was left");
    ensure_none(&api, author, &[("model-versions", "model_versions")]).await?;

    let (success, said) = command(twin, &["jobs", "retry", &id])?;
    ensure!(success, "{said}");
    eventually("the job goes on", async || {
        let log = fs::read_to_string(folder.join("log"))?;
        Ok(log.contains("training goes on from a checkpoint").then_some(()))
    })
    .await?;
    let job = ended(twin, author).await?;
    ensure!(job["state"] == "succeeded" && job["attempts"] == 3 && job["progress"]["step"] == 6, "{job}");
    Ok(())
}

/// The largest artifact: the weights of a model.
fn weights(twin: &TwinProcess) -> Result<PathBuf> {
    let mut found = Vec::new();
    for folder in fs::read_dir(twin.data().join("artifacts"))? {
        for file in fs::read_dir(folder?.path())? {
            let file = file?;
            found.push((file.metadata()?.len(), file.path()));
        }
    }
    Ok(found.into_iter().max().context("there are no artifacts")?.1)
}

/// A byte of the weights is wrong: the deployment fails, and who answered before goes on.
async fn serves_no_damaged_model(twin: &TwinProcess, author: &str) -> Result<()> {
    let (api, model) = (Api::new(twin.base_url())?, format!("{author}-v1"));
    let models = format!("/v1/model-versions?author={author}");
    let evaluated = school::reaches(twin, &models, "model_versions", &["evaluated"], PATIENCE_S).await?;
    ensure!(evaluated["verdict"] == "inconclusive", "{evaluated}");
    let weights = weights(twin)?;
    damage(&weights)?;
    let (success, said) = command(twin, &["models", "approve", &model, "--by", "grace", "--wait"])?;
    ensure!(!success, "{said}");
    ensure_has(&said, &[&format!("{model} is failed"), "is damaged: its content has another hash"])?;
    ensure!(!twin.data().join("models").join(format!("{model}.partial")).exists(), "half a model was left");
    let (answer, by) = school::answers(&api, author, &["What is a queue?"]).await?.remove(0);
    ensure!(by == BASE && !answer.is_empty(), "{by} answers {answer:?}");

    damage(&weights)?;
    let (success, said) = command(twin, &["models", "deploy", &model, "--by", "grace", "--wait"])?;
    ensure!(success, "{said}");
    let (_, by) = school::answers(&api, author, &["What is a queue?"]).await?.remove(0);
    ensure!(by == model, "{by} answers");
    Ok(())
}

/// All that has become of the author's documents.
async fn learned(api: &Api, author: &str) -> Result<Value> {
    let mut learned = json!({});
    for path in ["datasets", "jobs", "model-versions"] {
        learned[path] = api.get(&format!("/v1/{path}?author={author}")).await?;
    }
    learned["deployments"] = api.get(&format!("/v1/authors/{author}/deployments")).await?;
    learned["model"] = api.get(&format!("/v1/model-versions/{author}-v1")).await?;
    Ok(learned)
}

/// Every event of the loop comes twice more, in any order, to a twin that trains and deploys by itself; the model was taken
/// back before.
async fn changes_nothing_when_all_events_come_again(mut twin: TwinProcess, folder: &Path, author: &str) -> Result<()> {
    let api = Api::new(twin.base_url())?;
    api.post(&format!("/v1/authors/{author}/rollback"), &json!({ "by": "grace", "why": "a test" })).await?;
    let deployments = format!("/v1/authors/{author}/deployments");
    school::reaches(&twin, &deployments, "deployments", &["serving"], PATIENCE_S).await?;
    let before = learned(&api, author).await?;
    ensure!(twin.terminate()? == 0, "{}", twin.log());
    let log = SqliteLog::open(Database::open(&twin.data().join("twin.db"))?, MAX_VALUE_BYTES).await?;
    let again = append_again(&log, &[Topic::DocumentsCleaned, Topic::Datasets, Topic::Models]).await?;
    ensure!(again >= 2 * (40 + 1 + 4), "{again} events came again");
    drop(log);

    let automatic = [("TWIN_EVALUATOR_APPROVAL", "auto"), ("TWIN_LLM_MAX_TOKENS", "8")];
    let options = school::school_with(folder, RECIPE, &automatic)?;
    let twin = TwinProcess::start(TwinOptions { data: Some(twin.data().to_owned()), ..options })?;
    let api = Api::new(twin.base_url())?;
    api.idle().await?;
    let metrics = api.metrics().await?;
    for stage in ["datasets", "trainer", "evaluator"] {
        let worked = metrics.sum("twin_stage_events_total", &[&format!("stage=\"{stage}\"")]);
        ensure!(worked >= 2.0, "{worked} events came to the {stage}");
    }
    ensure_has(&school::freeze(&api, author).await?, &["nothing has changed since version 1"])?;
    let after = learned(&api, author).await?;
    ensure!(after == before, "{before} became {after}");
    let (_, by) = school::answers(&api, author, &["What is a queue?"]).await?.remove(0);
    ensure!(by == BASE, "{by} answers");
    ensure!(api.get("/v1/dlq").await?["dead_letters"] == json!([]), "an event was refused");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_or_a_full_disk_is_told_and_all_goes_on_when_it_is_mended() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = school::school_with(folder.path(), RECIPE, &SHORT)?;
    let binary = Some(bounded(folder.path(), &default_binary()?, None)?);
    let twin = TwinProcess::start(TwinOptions { binary, ..options })?;
    let author = "ada";
    school::publish(&Api::new(twin.base_url())?, author).await?;
    school::reaches_any(&twin, &format!("/v1/datasets?author={author}"), "datasets", PATIENCE_S).await?;
    trains_on_no_damaged_samples(&twin, author).await?;
    goes_on_when_the_disk_has_room(&twin, author).await?;
    serves_no_damaged_model(&twin, author).await?;
    changes_nothing_when_all_events_come_again(twin, folder.path(), author).await
}
