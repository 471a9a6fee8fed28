//! What a twin does when its data folder is damaged, taken away, or used by another.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::process::Command;
use twin_stack::{TwinOptions, TwinProcess};
use twin_tests::{Api, author, eventually, note};

const PAGE: u64 = 4096;

fn start() -> Result<TwinProcess> {
    let environment = vec![("TWIN_LLM_ENDPOINT".to_owned(), "http://127.0.0.1:9/v1".to_owned())];
    TwinProcess::start(TwinOptions { environment, ..TwinOptions::default() })
}

/// `twin run` on the data of a twin, until it ends by itself.
async fn run_to_its_end(twin: &TwinProcess) -> Result<Output> {
    let mut command = twin.command(&["run", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(twin.data());
    let mut command = Command::from(command);
    let ended = tokio::time::timeout(Duration::from_secs(60), command.kill_on_drop(true).output()).await;
    Ok(ended.context("it does not end")??)
}

/// It ended with an error that has all these words.
fn ensure_refused(output: &Output, words: &[&str]) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "it ended with {}: {said}", output.status);
    let missing: Vec<&&str> = words.iter().filter(|word| !said.contains(**word)).collect();
    ensure!(missing.is_empty(), "{missing:?} not in: {said}");
    Ok(())
}

/// Overwrites some pages in the middle of the file.
fn damage(database: &Path) -> Result<()> {
    let file = fs::OpenOptions::new().write(true).open(database)?;
    let pages = file.metadata()?.len() / PAGE;
    ensure!(pages > 40, "only {pages} pages");
    for page in pages / 3..pages / 3 + 10 {
        file.write_all_at(&[0xa5; PAGE as usize], page * PAGE)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_damaged_database_ends_the_process_with_what_to_do() -> Result<()> {
    let mut twin = start()?;
    let (api, author) = (Api::new(twin.base_url())?, author());
    for number in 0..20 {
        api.push(&author, &format!("note {number}"), &note(&format!("subject {number}"))).await?;
    }
    ensure!(twin.terminate()? == 0, "it does not end in good order:\n{}", twin.log());
    let database = twin.data().join("twin.db");
    ensure!(!twin.data().join("twin.db-wal").exists(), "after a stop in good order the file alone is a backup");
    let sound = fs::read(&database)?;

    damage(&database)?;
    ensure_refused(&run_to_its_end(&twin).await?, &["twin.db", "damaged", "restore a backup"])?;
    fs::write(&database, "these are my notes")?;
    ensure_refused(&run_to_its_end(&twin).await?, &["twin.db", "damaged", "restore a backup"])?;

    for name in ["twin.db-wal", "twin.db-shm"] {
        let _ = fs::remove_file(twin.data().join(name));
    }
    fs::write(&database, sound)?;
    twin.restart()?;
    assert_eq!(api.documents(&author).await?.len(), 20, "the backup is good");
    Ok(())
}

#[tokio::test]
async fn a_second_process_on_the_data_folder_is_refused() -> Result<()> {
    let twin = start()?;
    let folder = twin.data().display().to_string();
    ensure_refused(&run_to_its_end(&twin).await?, &[&folder, "in use by another twin", "--data"])
}

#[tokio::test]
async fn while_the_artifact_folder_takes_nothing_large_documents_wait() -> Result<()> {
    let twin = start()?;
    let (api, author) = (Api::new(twin.base_url())?, author());
    let (artifacts, away) = (twin.data().join("artifacts"), twin.data().join("artifacts.away"));
    fs::rename(&artifacts, &away)?;
    fs::write(&artifacts, "a file where the folder was")?;

    // Above what fits into an event, and of few tokens: a word as long as this is one.
    let word = "stone".repeat(80);
    let large: String = (0..2_500).map(|number| format!("Stone {number} of the harbour {word}\n\n")).collect();
    let body = json!({ "author": author, "category": "article", "natural_key": "large", "markdown": large });
    api.post("/v1/documents", &body).await?;
    eventually("the outbox says that it tries again", async || {
        Ok((twin.log().contains("trying again") && twin.log().contains("artifact")).then_some(()))
    })
    .await?;
    assert_eq!(api.get(&format!("/v1/status?author={author}")).await?["pending"], 1);

    fs::remove_file(&artifacts)?;
    fs::rename(&away, &artifacts)?;
    let status = api.settled(&author).await?;
    assert_eq!(status["totals"]["searchable"], 1, "{status}");
    Ok(())
}
