//! The learning loop with another model behind an endpoint: it writes instructions, the worse answers of preferences, and
//! judges. None of it is needed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use twin_stack::{TwinProcess, cache_folder};
use twin_tests::{Api, Llm, Script, eventually, school};

/// What each wait may take, on a machine that does other things.
const PATIENCE_S: u64 = 300;
/// The endpoint's model gives this instruction for most passages, with the title of its document: what is asked in one
/// split is asked in no other.
const INSTRUCTION: &str = "Tell your readers what you have come across this week, in the case of";
/// It has no sensible instruction for passages with this word.
const BAFFLING: &str = "nobody";
/// What it answers itself begins so, and goes on otherwise each time.
const REJECTED: &str = "As a language model I have no opinion on this.";
/// How often it has.
static ANSWERED: AtomicU64 = AtomicU64::new(0);
/// Steps that are large enough for the model to answer otherwise than before.
const RECIPE: &str = "method = \"dpo\"\nrank = 4\nalpha = 32.0\nlearning_rate = 0.01\nwarmup_steps = 0\nmax_steps = 2\n\
    pack_tokens = 320\neval_samples = 2\n";
/// One step on conversations, and then one on preferences.
const STAGED_RECIPE: &str = "rank = 4\nalpha = 64.0\nlearning_rate = 0.02\nwarmup_steps = 0\nmax_steps = 1\n\
    pack_tokens = 128\neval_samples = 1\n[[stages]]\nmethod = \"sft\"\n[[stages]]\nmethod = \"dpo\"\n\
    learning_rate = 0.001\nmax_steps = 1\npack_tokens = 320\n";

/// What the endpoint's model writes: it tells by the prompt what is wanted.
fn reply(request: &Value) -> Script {
    let message = |index: usize| request["messages"][index]["content"].as_str().unwrap_or_default();
    let text = if message(1).ends_with("Which answer is better?") {
        "{\"winner\": \"A\", \"reason\": \"it stands first\"}".to_owned()
    } else if !message(0).contains("{\"instruction\"") {
        format!("{REJECTED} I have said so {} times.", ANSWERED.fetch_add(1, Ordering::SeqCst))
    } else if message(1).contains(BAFFLING) {
        format!("Sure! Here is an instruction: {INSTRUCTION}")
    } else {
        let title = message(1).split('"').nth(1).unwrap_or_default();
        json!({ "instruction": format!("{INSTRUCTION} {title}") }).to_string()
    };
    Script::of(&[&text], Duration::ZERO)
}

/// The samples of an exported file, of all splits.
fn samples(folder: &Path, kind: &str) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for split in ["train", "validation", "test"] {
        let path = folder.join(kind).join(format!("{split}.jsonl"));
        let text = if path.exists() { fs::read_to_string(path)? } else { String::new() };
        for line in text.lines() {
            found.push(serde_json::from_str(line)?);
        }
    }
    Ok(found)
}

fn ensure_taught_by_both(folder: &Path) -> Result<()> {
    let text = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
    let titles: BTreeSet<String> = school::posts().into_iter().map(|(_, title, _)| title).collect();
    let (mut by_model, mut by_structure) = (0, 0);
    for sample in samples(folder, "sft")? {
        let (asked, answered) = (text(&sample["messages"][1]), text(&sample["messages"][2]));
        if titles.contains(&answered) {
            // Asked for by the post itself.
            continue;
        }
        let is_models = asked.starts_with(INSTRUCTION);
        ensure!(is_models != answered.contains(BAFFLING), "{asked:?} asks for {answered:?}");
        ensure!(!asked.starts_with("Sure!") && !asked.is_empty(), "{asked:?}");
        *(if is_models { &mut by_model } else { &mut by_structure }) += 1;
    }
    ensure!(by_model > 10 && by_structure > 2, "{by_model} instructions are the model's, {by_structure} are not");

    let posts: BTreeSet<String> = school::posts().into_iter().map(|(_, _, text)| text).collect();
    let preferences = samples(folder, "preference")?;
    for sample in &preferences {
        let (chosen, rejected) = (text(&sample["chosen"][0]), text(&sample["rejected"][0]));
        ensure!(posts.contains(&chosen) && rejected.starts_with(REJECTED), "{sample}");
    }
    ensure!(preferences.len() == 12, "{} preferences", preferences.len());
    Ok(())
}

/// The report of a model, once it is evaluated.
async fn report(twin: &TwinProcess, author: &str, number: u32) -> Result<Value> {
    let models = format!("/v1/model-versions?author={author}");
    let id = format!("{author}-v{number}");
    let evaluated = eventually("the model is evaluated", async || {
        let newest = school::newest(&Api::new(twin.base_url())?, &models, "model_versions").await?;
        Ok(newest.filter(|newest| newest["model"] == id.as_str() && newest["state"] == "evaluated"))
    })
    .await?;
    let report = Api::new(twin.base_url())?.get(&format!("/v1/model-versions/{id}/report")).await?;
    ensure!(report["verdict"] == evaluated["verdict"] && evaluated["verdict"].is_string(), "{report}");
    Ok(report)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_instructs_answers_and_judges_and_is_not_needed() -> Result<()> {
    let llm = Llm::answering(reply).await?;
    let (folder, export) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let base = cache_folder()?.join("models/smollm2-135m-instruct-f32").display().to_string();
    let settings = [
        ("TWIN_LLM_ENDPOINT", llm.endpoint()),
        ("TWIN_LLM_MAX_TOKENS", "12"),
        ("TWIN_TRAINER_BASE", &base),
        ("TWIN_DATASETS_BUILD_PREFERENCES", "12"),
        ("TWIN_DATASETS_BUILD_MODEL_INSTRUCTIONS", "40"),
        ("TWIN_EVALUATOR_JUDGE_ENDPOINT", llm.endpoint()),
        ("TWIN_EVALUATOR_JUDGE_MODEL", "critic"),
        ("TWIN_EVALUATOR_MEASURE_MAX_VOICE", "2"),
    ];
    let twin = TwinProcess::start(school::school_with(folder.path(), RECIPE, &settings)?)?;
    let (api, author) = (Api::new(twin.base_url())?, "ada");
    school::publish(&api, author).await?;
    let datasets = format!("/v1/datasets?author={author}");
    let dataset = school::reaches_any(&twin, &datasets, "datasets", PATIENCE_S).await?;
    let id = dataset["dataset"].as_str().context("no id")?;
    let manifest = api.get(&format!("/v1/datasets/{id}")).await?["manifest"].clone();
    ensure!(manifest["instructor"] == "default" && manifest["rejected_by"] == "default", "{manifest}");
    let exported = twin.command(&["datasets", "export", id]).arg(export.path()).output()?;
    ensure!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    ensure_taught_by_both(export.path())?;

    // Who asks for the same once more gets the same: what the model has said is not asked for again.
    let again = twin.command(&["datasets", "freeze", "--author", author, "--wait"]).output()?;
    let said = String::from_utf8_lossy(&again.stdout);
    ensure!(again.status.success() && said.contains("nothing has changed since version 1"), "{said}");

    // Trained on the preferences, and judged.
    let jobs = format!("/v1/jobs?author={author}");
    let job = school::reaches(&twin, &jobs, "jobs", &["succeeded", "failed"], PATIENCE_S).await?;
    ensure!(job["state"] == "succeeded" && job["model"] == format!("{author}-v1").as_str(), "{job}");
    let judged = report(&twin, author, 1).await?["judgement"].clone();
    ensure!(judged["judge"] == "critic" && judged["ties"] == 2 && judged["win_rate"].is_object(), "{judged}");
    ensure!(judged["contradictory"].as_u64().is_some_and(|pairs| pairs > 0), "was it asked at all? {judged}");

    // Without the endpoint there is a verdict as well, on a model that has learned from both.
    drop(llm);
    let queued = api.post("/v1/jobs", &json!({ "author": author, "recipe": STAGED_RECIPE })).await?;
    let judged = report(&twin, author, 2).await?["judgement"].clone();
    let job = api.get(&format!("/v1/jobs/{}", queued["job"].as_str().context("no job")?)).await?;
    let stages = job["plan"]["stages"].as_array().context("its plan tells of no stages")?;
    ensure!(stages.len() == 2 && stages.iter().all(|stage| stage["steps"] == 1), "{job}");
    ensure!(job["progress"]["step"] == 2, "{job}");
    ensure!(judged["unanswered"].as_u64().is_some_and(|pairs| pairs > 0), "who answered? {judged}");
    ensure!(judged["wins"] == 0 && judged["losses"] == 0 && judged["contradictory"] == 0, "{judged}");
    Ok(())
}
