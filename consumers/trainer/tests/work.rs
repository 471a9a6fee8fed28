//! What a job's process says, and when it says nothing.

use std::path::Path;

use serde_json::Value;
use twin_artifacts::Artifacts;
use twin_schemas::JobId;
use twin_trainer::{Order, work};

fn order(folder: &Path, train: &str) -> Order {
    Order {
        job: JobId("1".repeat(64)),
        base: folder.join("base"),
        recipe: String::new(),
        train: vec![train.to_owned()],
        validation: Vec::new(),
        artifacts: folder.join("artifacts"),
        threads: 1,
    }
}

/// The folder of a job that is to train on that artifact.
fn job(folder: &Path, train: &str) -> std::path::PathBuf {
    let job = folder.join("job");
    std::fs::create_dir_all(&job).unwrap();
    std::fs::write(job.join("order.json"), serde_json::to_vec(&order(folder, train)).unwrap()).unwrap();
    job
}

fn outcome(job: &Path) -> Option<Value> {
    let text = std::fs::read(job.join("outcome.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

#[tokio::test]
async fn a_job_whose_samples_are_away_for_a_while_has_no_outcome_and_one_that_can_not_be_done_has() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::in_folder(&folder.path().join("artifacts")).unwrap();
    let train = artifacts.put(b"{\"messages\": []}\n".to_vec()).await.unwrap();
    let job = job(folder.path(), &train);

    std::fs::rename(folder.path().join("artifacts"), folder.path().join("away")).unwrap();
    let error = work(&job).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(outcome(&job), None, "another attempt may succeed");
    assert!(!folder.path().join("artifacts").exists(), "no other store is begun in its place");

    std::fs::rename(folder.path().join("away"), folder.path().join("artifacts")).unwrap();
    // The samples are there now, and the base model is not.
    work(&job).await.unwrap();
    let outcome = outcome(&job).unwrap();
    assert!(outcome["Err"].as_str().is_some_and(|problem| problem.contains("base")), "{outcome}");
}

#[tokio::test]
async fn a_job_whose_samples_are_gone_ends() {
    let folder = tempfile::tempdir().unwrap();
    Artifacts::in_folder(&folder.path().join("artifacts")).unwrap();
    let gone = format!("sha256:{}", "0".repeat(64));
    let job = job(folder.path(), &gone);
    work(&job).await.unwrap();
    let outcome = outcome(&job).unwrap();
    assert!(outcome["Err"].as_str().is_some_and(|problem| problem.contains(&gone)), "{outcome}");
}
