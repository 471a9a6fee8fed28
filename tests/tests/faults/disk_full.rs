//! The disk takes no more: what was acknowledged stays, what is not recorded is refused, and all goes on when there is
//! room again.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use twin_stack::{TwinOptions, TwinProcess, default_binary};
use twin_tests::{Api, author, bound, bounded};

/// No file of the process grows beyond this, bytes.
const ROOM: u64 = 3 << 20;
/// Far more documents than there is room for.
const DOCUMENTS: usize = 2_000;

/// Pushes until a push is refused; the keys that were acknowledged.
async fn fill(api: &Api, author: &str) -> Result<BTreeSet<String>> {
    let mut acknowledged = BTreeSet::new();
    for number in 0..DOCUMENTS {
        let words: Vec<String> = (0..1_500).map(|word| format!("word{number}x{word}")).collect();
        let key = format!("document {number:04}");
        let text = format!("# {key}\n\n{}", words.join(" "));
        let body = json!({ "author": author, "category": "article", "natural_key": key, "markdown": text });
        let answer = api.send(api.request(Method::POST, "/v1/documents").json(&body)).await?;
        match answer.status {
            StatusCode::CREATED => acknowledged.insert(key),
            StatusCode::SERVICE_UNAVAILABLE => {
                let detail = answer.json["detail"].as_str().unwrap_or_default();
                ensure!(detail.contains("disk is full or failing"), "{}", answer.json);
                return Ok(acknowledged);
            }
            status => bail!("{status}: {}", answer.json),
        };
    }
    bail!("{DOCUMENTS} documents fit into {ROOM} bytes")
}

#[tokio::test]
async fn what_was_acknowledged_is_searchable_when_there_is_room_again() -> Result<()> {
    let place = TempDir::with_prefix("twin-launcher-")?;
    let binary = default_binary()?;
    let mut twin = TwinProcess::start(TwinOptions {
        binary: Some(bounded(place.path(), &binary, Some(ROOM))?),
        environment: vec![
            ("TWIN_LLM_ENDPOINT".to_owned(), "http://127.0.0.1:9/v1".to_owned()),
            // However long the disk was full, no event is given up for it.
            ("TWIN_STAGES_RETRY_GIVE_UP_AFTER_S".to_owned(), "0".to_owned()),
        ],
        ..TwinOptions::default()
    })?;
    let (api, author) = (Api::new(twin.base_url())?, author());
    let acknowledged = fill(&api, &author).await?;
    ensure!(!acknowledged.is_empty(), "not a single document fit");

    // It goes on to answer what needs no room.
    let listed: BTreeSet<String> = keys(&api, &author).await?;
    assert_eq!(listed, acknowledged);
    assert_eq!(api.get("/readyz").await?["ready"], true);

    bound(twin.id().context("twin does not run")?, None)?;
    let status = api.settled(&author).await?;
    assert_eq!(status["totals"]["searchable"], acknowledged.len());
    assert_eq!(status["totals"]["dead"], 0);
    assert_eq!(keys(&api, &author).await?, acknowledged);
    assert_eq!(twin.terminate()?, 0, "{}", twin.log());
    Ok(())
}

async fn keys(api: &Api, author: &str) -> Result<BTreeSet<String>> {
    let documents = api.documents(author).await?;
    Ok(documents.iter().filter_map(|document| Some(document["natural_key"].as_str()?.to_owned())).collect())
}
