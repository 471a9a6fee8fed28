//! The official OpenAI client for Python finds what it expects.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use twin_stack::TwinProcess;
use twin_tests::{Api, TOPICS, author, eventually, python, start};

/// Cargo runs tests in their package's folder.
const SCRIPT: &str = "python/openai_client.py";

async fn run(twin: &TwinProcess, author: &str, question: &str) -> Result<Value> {
    let (python, url) = (python()?, twin.base_url().to_owned());
    let model = format!("twin/{author}");
    let mut command = Command::new(python);
    command.arg(SCRIPT).args([&url, &model, question]).env("NO_PROXY", "127.0.0.1").env("PYTHONDONTWRITEBYTECODE", "1");
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the script ended with {}: {told}", output.status);
    serde_json::from_slice(&output.stdout).context("the script writes JSON")
}

fn assert_usage(usage: &Value) {
    let [prompt, completion, total] =
        ["prompt_tokens", "completion_tokens", "total_tokens"].map(|kind| usage[kind].as_u64().unwrap_or_default());
    assert!(prompt > 0 && (1..=8).contains(&completion) && total == prompt + completion, "{usage}");
}

/// Vectors of length 1 as bytes and as numbers, and each wrong request told for what it is.
fn assert_embeddings(told: &Value) {
    assert_eq!((&told["lengths"], &told["indexes"]), (&json!([384, 384]), &json!([0, 1])));
    assert!((told["square"].as_f64().unwrap_or_default() - 1.0).abs() < 1e-4, "{told}");
    assert_eq!((&told["same"], &told["by_name"]), (&json!(true), &json!(true)));
    let tokens = told["usage"]["prompt_tokens"].as_u64().unwrap_or_default();
    assert!((10..60).contains(&tokens) && told["usage"]["total_tokens"] == tokens, "{told}");
    for (wrong, part) in [
        ("window", "input[0] has 5002 tokens, and the embedding model reads 256"),
        ("dimensions", "vectors of 384 numbers"),
        ("tokens", "input[0]"),
        ("model", "no embedding model \"text-embedding-3-small\""),
    ] {
        assert!(told[wrong].as_str().is_some_and(|told| told.contains(part)), "{wrong}: {told}");
    }
}

#[tokio::test]
async fn the_official_client_lists_asks_streams_cancels_and_is_told_what_is_wrong() -> Result<()> {
    // More tokens than are written before the client has gone.
    let twin = start(&[("TWIN_LLM_MAX_TOKENS", "200")])?;
    let (api, author, topic) = (Api::new(twin.base_url())?, author(), TOPICS[0]);
    api.push(&author, topic.file, topic.text).await?;
    let told = run(&twin, &author, topic.question).await?;
    let model = format!("twin/{author}");

    assert_eq!(told["models"], json!([model]));
    assert_eq!(told["model_of"], model);

    let whole = &told["whole"];
    assert_eq!((&whole["object"], &whole["model"]), (&json!("chat.completion"), &json!(model)));
    assert_eq!((&whole["role"], &whole["citations"]), (&json!("assistant"), &json!(1)), "{whole}");
    assert!(whole["text"].as_str().is_some_and(|text| !text.is_empty()), "{whole}");
    assert_usage(&whole["usage"]);

    let streamed = &told["streamed"];
    assert_eq!(streamed["ids"].as_array().map(Vec::len), Some(1), "{streamed}");
    assert_eq!(streamed["objects"], json!(["chat.completion.chunk"]));
    assert_eq!((&streamed["role"], &streamed["citations"]), (&json!("assistant"), &json!(1)), "{streamed}");
    assert_eq!(streamed["finish_reasons"], json!([whole["finish_reason"]]));
    assert_eq!(streamed["text"], whole["text"], "at temperature 0 both ways give the same text");
    assert_usage(&streamed["usage"]);

    assert_eq!(told["cancelled"]["first_text"], "", "the first chunk says who speaks");
    eventually("the query of the client that went away is cancelled", async || {
        let metrics = api.metrics().await?;
        let cancelled = metrics.sum("twin_inference_queries_total", &["outcome=\"cancelled\""]);
        Ok((cancelled == 1.0).then_some(()))
    })
    .await?;

    assert_embeddings(&told["embeddings"]);

    let refused = &told["refused"];
    assert_eq!(refused["tools"]["param"], "tools");
    assert!(refused["tools"]["message"].as_str().is_some_and(|told| told.contains("calls no tools")), "{refused}");
    assert_eq!(refused["temperature"], json!({ "param": "temperature", "type": "invalid_request_error" }));
    assert_eq!(refused["model"]["code"], "not_found");
    Ok(())
}
