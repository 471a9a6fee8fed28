//! The learning loop, end to end on the real binary with the default model: documents, dataset, job, model, report,
//! approval, answers in another voice, rollback.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use twin_stack::TwinProcess;
use twin_tests::{Api, Usage, school, times};

/// The same each time: what is in which split, and the order of training, follow from the author's documents.
const AUTHOR: &str = "ada";
/// None of them was asked in a post.
const QUESTIONS: [&str; 4] =
    ["What does a compiler do?", "Why would I use a cache?", "What is a queue good for?", "How does a firewall help?"];
/// A minute of training and half of evaluation, on a machine that does four other things.
const PATIENCE_S: u64 = 900;

/// What the base model calls itself.
const BASE: &str = "smollm2-135m-instruct-f32";
/// Half a model: what a twin needs for a moment varies by less, and a model that was left behind is twice that.
const MARGIN_MB: u64 = 270;
/// An answer that is under way keeps its model, and what that has taken goes back to the system a second after it: memory
/// that is read at the switch itself has that model in it at one time and not at another.
const SETTLED: Duration = Duration::from_secs(5);

async fn styled(api: &Api, author: &str, model: &str) -> Result<usize> {
    let answers = school::answers(api, author, &QUESTIONS).await?;
    for (answer, by) in &answers {
        ensure!(by == model, "{model} was to answer, it was {by}: {answer}");
    }
    Ok(answers.iter().filter(|(answer, _)| school::is_styled(answer)).count())
}

async fn served_by(api: &Api, author: &str, model: Option<&str>) -> Result<()> {
    let path = format!("/v1/authors/{author}/deployments");
    twin_tests::eventually("the deployment serves", async || {
        let newest = school::newest(api, &path, "deployments").await?.unwrap_or_default();
        ensure!(newest["state"] != "failed", "{newest}");
        Ok((newest["state"] == "serving" && newest["model"] == json!(model)).then_some(()))
    })
    .await
}

async fn decide(api: &Api, path: &str) -> Result<Value> {
    api.post(path, &json!({ "by": "grace", "why": "a test" })).await
}

/// Goes back to the base model and forth again, many times, while questions are asked: none fails, and memory does not
/// grow. Ends with the base model.
async fn switched_under_questions(twin: &TwinProcess, author: &str, id: &str) -> Result<()> {
    let api = Api::new(twin.base_url())?;
    let going_on = Cell::new(true);
    let switch = async {
        let mut memory = Vec::new();
        for _ in 0..times("TEST_SWITCHES", 5)? {
            decide(&api, &format!("/v1/authors/{author}/rollback")).await?;
            served_by(&api, author, None).await?;
            memory.push(settled_memory_mb(twin).await?);
            decide(&api, &format!("/v1/model-versions/{id}/deploy")).await?;
            served_by(&api, author, Some(id)).await?;
        }
        decide(&api, &format!("/v1/authors/{author}/rollback")).await?;
        served_by(&api, author, None).await?;
        going_on.set(false);
        Ok(memory)
    };
    let (memory, answered) = tokio::try_join!(switch, asked_all_the_while(&api, author, id, &going_on))?;
    ensure!(answered > 1, "{answered} questions were answered in {} switches", 2 * memory.len());
    let half = memory.len() / 2;
    let most = |part: &[u64]| part.iter().copied().max().unwrap_or(0);
    let (before, after) = (most(&memory[..half]), most(&memory[half..]));
    ensure!(after < before + MARGIN_MB, "memory grew over the switches: {memory:?} MB");
    Ok(())
}

/// The least memory of some seconds, in which questions are answered.
async fn settled_memory_mb(twin: &TwinProcess) -> Result<u64> {
    let end = Instant::now() + SETTLED;
    let mut least = u64::MAX;
    while Instant::now() < end {
        least = least.min(Usage::of(twin)?.memory_mb);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(least)
}

async fn asked_all_the_while(api: &Api, author: &str, id: &str, going_on: &Cell<bool>) -> Result<usize> {
    let mut answered = 0;
    while going_on.get() {
        let (answer, by) = school::answers(api, author, &QUESTIONS[..1]).await?.remove(0);
        ensure!(!answer.is_empty() && (by == BASE || by == id), "answered by {by}: {answer:?}");
        answered += 1;
    }
    Ok(answered)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_author_publishes_becomes_the_voice_of_the_twin_and_can_be_taken_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let twin = TwinProcess::start(school::school(folder.path(), &[])?)?;
    let (api, author) = (Api::new(twin.base_url())?, AUTHOR);
    school::publish(&api, author).await?;
    let dataset = school::reaches_any(&twin, &format!("/v1/datasets?author={author}"), "datasets", PATIENCE_S).await?;
    ensure!(dataset["number"] == 1 && dataset["documents"] == 40, "{dataset}");
    let before = styled(&api, author, BASE).await?;

    let jobs = format!("/v1/jobs?author={author}");
    let job = school::reaches(&twin, &jobs, "jobs", &["succeeded", "failed"], PATIENCE_S).await?;
    ensure!(job["state"] == "succeeded" && job["dataset"] == dataset["dataset"], "{job}");
    let models = format!("/v1/model-versions?author={author}");
    let model = school::reaches(&twin, &models, "model_versions", &["evaluated"], PATIENCE_S).await?;
    let id = format!("{author}-v1");
    ensure!(model["model"] == id.as_str() && model["verdict"] == "passed", "{model}");
    let report = api.get(&format!("/v1/model-versions/{id}/report")).await?;
    ensure!(report["verdict"] == "passed" && report["models"]["candidate"] == id.as_str(), "{report}");
    ensure!(report["end_to_end"]["absent"] == "the test split has no question", "{report}");

    decide(&api, &format!("/v1/model-versions/{id}/approve")).await?;
    served_by(&api, author, Some(&id)).await?;
    let after = styled(&api, author, &id).await?;
    ensure!(after > before && after >= 3, "{before} of 4 answers were in the author's style, then {after}");
    let lineage = api.get(&format!("/v1/model-versions/{id}/lineage")).await?;
    let taught = lineage["documents"].as_array().context("no documents")?;
    let shown = api.get(&format!("/v1/datasets/{}", dataset["dataset"].as_str().context("no id")?)).await?;
    let documents = shown["manifest"]["documents"].as_array().context("no documents")?;
    let trained_on: Vec<_> =
        documents.iter().filter(|document| document["split"] == "train" && document["passages"] != 0).collect();
    ensure!(lineage["split_known"] == true && (1..40).contains(&taught.len()), "{lineage}");
    ensure!(taught.len() == trained_on.len(), "{} taught, of {}", taught.len(), trained_on.len());
    for document in trained_on {
        ensure!(taught.iter().any(|taught| taught["document_id"] == document["document_id"]), "{document} is missing");
    }

    switched_under_questions(&twin, author, &id).await?;
    let back = styled(&api, author, BASE).await?;
    ensure!(back == before, "the base model answers as before: {before} of 4, then {back}");
    ensure!(school::newest(&api, &jobs, "jobs").await?.is_some_and(|newest| newest["attempts"] == 1), "one job, once");
    Ok(())
}
