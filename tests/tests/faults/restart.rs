//! Stops, kills and starts of one twin over the embedded log, and of two with every service each over Kafka: nothing is
//! lost, and what is done is not done again.

use std::collections::BTreeMap;
use std::fs;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use twin_stack::{Kafka, TwinProcess};
use twin_tests::{Api, Folder, Shared, Twins, author, eventually, note, quick, quick_broker, start};

const STAGES: [&str; 3] = ["cleaner", "chunker", "embedder"];

/// What two runs over the same inputs must agree on.
#[derive(Debug, PartialEq)]
struct State {
    totals: Value,
    /// By document: natural key, revision, live revision, hash, and the chunks that are found of it.
    documents: BTreeMap<String, Value>,
}

async fn state(api: &Api, author: &str) -> Result<State> {
    let totals = api.settled(author).await?["totals"].clone();
    let mut documents = BTreeMap::new();
    for document in api.documents(author).await? {
        let id = document["document_id"].as_str().context("a document has an id")?;
        let title = document["title"].as_str().context("each of these documents has a title")?;
        let hits = api.retrieve(author, title, 50).await?;
        let own = hits.iter().filter(|hit| hit["document_id"] == id);
        let mut chunks: Vec<Value> = own.map(|hit| json!([hit["ordinal"], hit["revision"], hit["text"]])).collect();
        ensure!(!chunks.is_empty(), "{title:?} finds nothing of its document");
        chunks.sort_by_key(|chunk| chunk[0].as_u64());
        let kept = ["natural_key", "revision", "live_revision", "content_hash"].map(|field| document[field].clone());
        documents.insert(id.to_owned(), json!([kept, chunks]));
    }
    Ok(State { totals, documents })
}

fn folder_of(count: usize) -> Result<Folder> {
    let folder = Folder::new()?;
    for number in 0..count {
        // Two numbers to a subject, so that no two texts are alike.
        let subject = format!("expedition {number} to island {}", number * 7);
        folder.write(&format!("{number:03}.md"), &note(&subject))?;
    }
    Ok(folder)
}

async fn stops_and_starts(kafka: Option<&Kafka>, count: usize) -> Result<()> {
    let mut twins = Twins::start(quick(kafka.map(Kafka::bootstrap)), count)?;
    let api = twins.api()?;
    let (author, folder) = (author(), folder_of(12)?);
    let source = api.add_source(&author, folder.location()).await?;
    let before = state(&api, &author).await?;
    api.idle().await?;

    twins.terminate()?;
    twins.restart().await?;
    let sync = api.sync(&source).await?;
    assert_eq!([sync.seen, sync.new, sync.changed, sync.deleted], [12, 0, 0, 0]);
    assert_eq!(state(&api, &author).await?, before);
    // The stages have their partitions and were told of nothing.
    twins.share().await?;
    api.idle().await?;
    let metrics = api.metrics().await?;
    for stage in STAGES {
        let stage = format!("stage=\"{stage}\"");
        assert_eq!(metrics.sum("twin_stage_events_total", &[&stage]), 0.0, "{stage} did something again");
    }
    assert_eq!(metrics.sum("twin_embedder_texts_total", &["kind=\"passage\""]), 0.0, "something was embedded again");

    // It still does its work: an edit is one new revision.
    folder.write("003.md", &note("a lagoon that no map has"))?;
    assert_eq!(api.sync(&source).await?.changed, 1);
    let after = state(&api, &author).await?;
    let changed = after.documents.iter().filter(|(id, document)| before.documents.get(*id) != Some(document));
    assert_eq!(changed.count(), 1);
    Ok(())
}

#[tokio::test]
async fn after_a_stop_and_a_start_nothing_is_lost_and_nothing_is_done_again() -> Result<()> {
    stops_and_starts(None, 1).await
}

#[tokio::test]
async fn after_a_stop_and_a_start_of_every_service_twice_nothing_is_done_again() -> Result<()> {
    let kafka = Kafka::start(quick_broker())?;
    stops_and_starts(Some(&kafka), 2).await
}

/// All of them at once: what one of two that goes on makes of it is tried in `pairs.rs`.
async fn is_killed_in_mid_run(kafka: Option<&Kafka>, count: usize) -> Result<()> {
    const DOCUMENTS: u64 = 150;
    let (author, folder) = (author(), folder_of(DOCUMENTS as usize)?);
    let undisturbed = {
        let twin = Twins::start(quick(None), 1)?;
        let api = twin.api()?;
        api.add_source(&author, folder.location()).await?;
        state(&api, &author).await?
    };

    let mut twins = Twins::start(quick(kafka.map(Kafka::bootstrap)), count)?;
    let api = twins.api()?;
    let registered = json!({ "author": author, "location": folder.location(), "interval_s": 86_400 });
    let source = api.post("/v1/sources", &registered).await?["id"].clone();
    let path = format!("/v1/status?author={author}");
    let searchable = eventually("documents are being indexed", async || {
        let searchable = api.get(&path).await?["totals"]["searchable"].as_u64().unwrap_or_default();
        Ok((searchable > 0).then_some(searchable))
    })
    .await?;
    twins.kill9()?;
    assert!(searchable < DOCUMENTS, "everything was indexed before the kill: the test needs more documents");

    twins.restart().await?;
    api.sync(source.as_str().context("a source has an id")?).await?;
    let disturbed = state(&api, &author).await?;
    assert_eq!(disturbed.totals, undisturbed.totals);
    for (id, document) in &undisturbed.documents {
        assert_eq!(disturbed.documents.get(id), Some(document), "document {id}");
    }
    assert_eq!(disturbed.documents.len(), undisturbed.documents.len());
    let letters = api.get("/v1/dlq").await?;
    assert_eq!(letters["dead_letters"], json!([]));
    twins.terminate()
}

#[tokio::test]
async fn a_kill_in_mid_run_ends_in_the_state_of_an_undisturbed_run() -> Result<()> {
    is_killed_in_mid_run(None, 1).await
}

#[tokio::test]
async fn a_kill_of_every_service_twice_in_mid_run_ends_in_the_state_of_an_undisturbed_run() -> Result<()> {
    let kafka = Kafka::start(quick_broker())?;
    is_killed_in_mid_run(Some(&kafka), 2).await
}

fn shared() -> Result<std::sync::Arc<TwinProcess>> {
    static TWIN: Shared<TwinProcess> = Shared::new();
    TWIN.get(|| start(&[]))
}

/// A `twin run` that is to end by itself.
fn run(data: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Result<Output> {
    let twin = shared()?;
    let mut command = twin.command(&["run", "--data", data, "--listen", "127.0.0.1:0"]);
    // `timeout` ends one that does not: a hanging test tells nobody anything.
    let mut bounded = std::process::Command::new("timeout");
    bounded.arg("60").arg(command.get_program()).args(command.get_args()).args(arguments);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bounded.env(name, value),
            None => bounded.env_remove(name),
        };
    }
    command = bounded;
    Ok(command.envs(variables.iter().copied()).output()?)
}

#[test]
fn a_second_twin_on_a_data_folder_ends_at_once_and_says_why() -> Result<()> {
    let data = shared()?.data().display().to_string();
    let output = run(&data, &[], &[])?;
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&data) && told.contains("in use by another twin"), "{told}");
    Ok(())
}

#[test]
fn a_configuration_that_can_not_be_used_ends_it_with_64_and_names_the_key() -> Result<()> {
    let folder = TempDir::new()?;
    let data = folder.path().join("data");
    let file = folder.path().join("twin.toml");
    fs::write(&file, "[llm]\nmax_token = 5\n")?;
    let file = file.to_str().context("the path is UTF-8")?;
    let data_folder = data.to_str().context("the path is UTF-8")?;
    let outputs = [
        ("TWIN_LLM_MAX_TOKENS", run(data_folder, &[("TWIN_LLM_MAX_TOKENS", "many")], &[])?),
        ("retrieval.min_score", run(data_folder, &[("TWIN_RETRIEVAL_MIN_SCORE", "7")], &[])?),
        ("llm.max_token", run(data_folder, &[], &["--config", file])?),
        ("log.url", run(data_folder, &[], &["--log", "redis://nowhere"])?),
    ];
    for (key, output) in outputs {
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{key}: {told}");
        assert!(told.contains(key), "{key} is not named: {told}");
    }
    assert!(!data.exists(), "a data folder was made before the configuration was found good");
    Ok(())
}
