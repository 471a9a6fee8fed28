//! Schemathesis makes up requests from the OpenAPI document, right and wrong ones, and looks at each answer: no server
//! error, and nothing that the document does not say.

use std::process::Command;

use anyhow::{Result, ensure};
use tempfile::TempDir;
use twin_tests::{Api, TOPICS, author, python, start};

/// Where each operation's random requests begin: the same ones in every run.
const SEED: &str = "1";
/// Random requests of each operation, besides those that try each bound of each field.
const EXAMPLES: &str = "60";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

#[tokio::test]
async fn no_request_that_can_be_made_up_is_a_server_error() -> Result<()> {
    // Every question is abstained from: what is tried is the gateway, and thousands of answers would take hours.
    let twin = start(&[("TWIN_RETRIEVAL_MIN_SCORE", "1"), ("TWIN_LLM_ENDPOINT", "http://127.0.0.1:9/v1")])?;
    let api = Api::new(twin.base_url())?;
    api.push(&author(), "first", TOPICS[0].text).await?;
    let folder = TempDir::with_prefix("twin-schemathesis-")?;
    let mut command = Command::new(python()?.with_file_name("schemathesis"));
    command
        .args(["run", &format!("{}/v1/openapi.json", twin.base_url()), "--checks", CHECKS])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", SEED])
        // A made up location may be a folder of this machine that takes long to read.
        .args(["--exclude-operation-id", "register_source"])
        .args(["--suppress-health-check", "all", "--warnings", "off", "--no-color"])
        .envs([("SCHEMATHESIS_HOOKS", "schemathesis_hooks"), ("NO_PROXY", "127.0.0.1")])
        // Cargo runs tests in their package's folder; what Schemathesis leaves behind stays out of it.
        .env("PYTHONPATH", std::env::current_dir()?.join("python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder.path());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    ensure!(told.contains("No issues found"), "{told}");
    Ok(())
}
