//! `docs/metrics.md` and what `/metrics` shows are the same set.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use reqwest::Method;
use serde_json::json;
use twin_kafka::{KafkaLog, KafkaOptions};
use twin_schemas::Topic;
use twin_stack::Kafka;
use twin_stream::{EventLog, NewRecord};
use twin_tests::{Api, Folder, TOPICS, author, eventually, start};

/// The names in the first column of the page's tables.
fn documented() -> Result<BTreeSet<String>> {
    // Cargo runs tests in their package's folder.
    let page = "../docs/metrics.md";
    let page = std::fs::read_to_string(page).with_context(|| format!("{page} can not be read"))?;
    let name = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    Ok(page.lines().filter_map(name).filter(|name| name.starts_with("twin_")).collect())
}

/// A document that each stage handles, and one that it rejects, an edit and a deletion.
async fn documents(api: &Api, author: &str) -> Result<()> {
    let folder = Folder::new()?;
    folder.write(TOPICS[0].file, TOPICS[0].text)?;
    folder.write("empty.md", "Sign in to continue. Log in or create an account. Forgot password?")?;
    let source = api.add_source(author, folder.location()).await?;
    folder.remove("empty.md")?;
    api.sync(&source).await?;
    api.push(author, TOPICS[1].file, TOPICS[1].text).await?;
    Ok(())
}

/// A search, an answer, and an answer whose client goes away when its first part is there.
async fn queries(api: &Api, author: &str) -> Result<()> {
    api.retrieve(author, TOPICS[0].question, 2).await?;
    let mut question = json!({ "author": author, "question": TOPICS[0].question, "k": 1 });
    api.post("/v1/query", &question).await?;
    question["stream"] = json!(true);
    let response = api.request(Method::POST, "/v1/query").json(&question).send().await?;
    let first = response.error_for_status()?.bytes_stream().next().await.context("the stream has a first part")??;
    ensure!(first.starts_with(b"event: retrieved"), "the first part is {first:?}");
    Ok(())
}

/// What is no event, on a topic that a stage reads and on the one that the gateway reads.
async fn poison(kafka: &Kafka) -> Result<()> {
    let options = KafkaOptions { brokers: kafka.bootstrap().to_owned(), ..KafkaOptions::default() };
    let log = KafkaLog::connect(options).await?;
    let record = |topic: Topic, key: String| NewRecord {
        topic: topic.name().to_owned(),
        key: key.into_bytes(),
        value: Some(b"{".to_vec()),
        headers: Vec::new(),
    };
    let mut records = vec![record(Topic::DocumentsRaw, "poison".to_owned())];
    // Some of them are in the partition that the gateway follows.
    records.extend((0..64).map(|number| record(Topic::Answers, format!("poison-{number}"))));
    log.append(records).await?;
    Ok(())
}

#[tokio::test]
async fn the_page_of_metrics_lists_exactly_those_that_are_shown() -> Result<()> {
    let kafka = Kafka::shared()?;
    let twin = start(&[("TWIN_LOG_URL", &format!("kafka://{}", kafka.bootstrap()))])?;
    let (api, author) = (Api::new(twin.base_url())?, author());
    documents(&api, &author).await?;
    queries(&api, &author).await?;
    poison(kafka).await?;
    let documented = documented()?;
    ensure!(documented.len() > 20, "the page's tables were not found: {documented:?}");
    let mut shown = BTreeSet::new();
    let settled = eventually("every documented metric is shown", async || {
        shown = api.metrics().await?.names().into_iter().filter(|name| name.starts_with("twin_")).collect();
        Ok(documented.is_subset(&shown).then_some(()))
    });
    // The difference says more than the deadline.
    let in_time = tokio::time::timeout(Duration::from_secs(60), settled).await;
    let missing: Vec<&String> = documented.difference(&shown).collect();
    assert!(missing.is_empty(), "on the page and not in /metrics ({in_time:?}): {missing:?}");
    let undocumented: Vec<&String> = shown.difference(&documented).collect();
    assert!(undocumented.is_empty(), "in /metrics and not on the page: {undocumented:?}");
    Ok(())
}
