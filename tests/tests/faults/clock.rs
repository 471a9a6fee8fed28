//! A clock that is put back by a day: syncs go on, and nothing is lost, served old, or ordered by time.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use twin_stack::{TwinOptions, TwinProcess};
use twin_tests::{Api, Folder, eventually, note};

const AUTHOR: &str = "ada";

/// Seconds between two syncs of the folder.
const INTERVAL_S: u64 = 1;

/// A twin on this data folder whose clock is ahead by this.
fn start(data: &TempDir, ahead: &str) -> Result<TwinProcess> {
    let environment = [
        ("TWIN_LLM_ENDPOINT", "http://127.0.0.1:9/v1"),
        ("TWIN_CRAWLER_POLL_MS", "50"),
        ("LD_PRELOAD", "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"),
        ("FAKETIME", ahead),
        // Time that passes is measured with a clock that nobody sets.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    TwinProcess::start(TwinOptions {
        data: Some(data.path().join("data")),
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..TwinOptions::default()
    })
}

/// Waits until what is found for a question is as it should be.
async fn found(api: &Api, question: &str, expected: impl Fn(&[Value]) -> bool) -> Result<()> {
    eventually(question, async || {
        let passages = api.retrieve(AUTHOR, question, 5).await?;
        Ok(expected(&passages).then_some(()))
    })
    .await
}

fn has_text(passages: &[Value], part: &str) -> bool {
    passages.iter().any(|passage| passage["text"].as_str().is_some_and(|text| text.contains(part)))
}

#[tokio::test]
async fn a_clock_that_is_put_back_by_a_day_changes_nothing() -> Result<()> {
    let (data, folder) = (TempDir::new()?, Folder::new()?);
    folder.write("harbour.md", &note("the harbour of timber"))?;
    folder.write("bakery.md", &note("the bakery"))?;
    let mut twin = start(&data, "+1d")?;
    let api = Api::new(twin.base_url())?;
    let source = serde_json::json!({ "author": AUTHOR, "location": folder.location(), "interval_s": INTERVAL_S });
    api.post("/v1/sources", &source).await?;
    found(&api, "the harbour", |passages| has_text(passages, "timber")).await?;
    let pushed = api.push(AUTHOR, "ferry", &note("the ferry of copper")).await?;
    found(&api, "the ferry", |passages| has_text(passages, "copper")).await?;
    ensure!(twin.terminate()? == 0, "it does not end in good order:\n{}", twin.log());

    // The same data, a day earlier. Nobody asks for a sync: the schedule goes on by itself.
    folder.write("harbour.md", &note("the harbour of granite"))?;
    folder.remove("bakery.md")?;
    let mut twin = start(&data, "+0")?;
    let api = Api::new(twin.base_url())?;
    found(&api, "the harbour", |passages| has_text(passages, "granite") && !has_text(passages, "timber")).await?;
    found(&api, "the bakery", |passages| !has_text(passages, "bakery")).await?;
    let again = api.push(AUTHOR, "ferry", &note("the ferry of bronze")).await?;
    assert_eq!(again, pushed, "the same document");
    found(&api, "the ferry", |passages| has_text(passages, "bronze") && !has_text(passages, "copper")).await?;

    let status = api.settled(AUTHOR).await?;
    assert_eq!(status["totals"]["dead"].as_u64().context("a number of dead letters")?, 0, "{status}");
    ensure!(twin.terminate()? == 0, "it does not end in good order:\n{}", twin.log());
    Ok(())
}
