//! The version of a small author, end to end on the real binary with the default model: trained with folds, and measured by
//! them on more documents than the test split has.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use twin_stack::TwinProcess;
use twin_tests::{Api, school};

const AUTHOR: &str = "ada";
/// Three trainings of ten steps, and an evaluation of three adapters, on a machine that does four other things.
const PATIENCE_S: u64 = 900;
/// Voice samples that are measured: more than the test split has documents.
const MEASURED: u64 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn the_version_of_a_small_author_is_measured_on_documents_that_its_folds_have_not_seen() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let measured = MEASURED.to_string();
    let settings = [("TWIN_TRAINER_FOLDS", "2"), ("TWIN_EVALUATOR_MEASURE_MAX_VOICE", measured.as_str())];
    let twin = TwinProcess::start(school::short_school(folder.path(), &settings)?)?;
    let api = Api::new(twin.base_url())?;
    school::publish(&api, AUTHOR).await?;

    let jobs = format!("/v1/jobs?author={AUTHOR}");
    let job = school::reaches(&twin, &jobs, "jobs", &["succeeded", "failed"], PATIENCE_S).await?;
    ensure!(job["state"] == "succeeded", "{job}");
    let (steps, planned) = (job["progress"]["steps"].as_u64(), job["plan"]["steps"].as_u64());
    ensure!(steps > planned, "the steps of the folds are not among those of the job: {job}");
    let models = format!("/v1/model-versions?author={AUTHOR}");
    let model = school::reaches(&twin, &models, "model_versions", &["evaluated"], PATIENCE_S).await?;
    ensure!(model["model"] == format!("{AUTHOR}-v1"), "{model}");

    let report = api.get(&format!("/v1/model-versions/{AUTHOR}-v1/report")).await?;
    ensure!(report["folds"]["adapters"] == 2 && report["folds"]["seen_by_production"] == 0, "{}", report["folds"]);
    let comparisons = report["comparisons"].as_array().context("the report has no metrics")?;
    let is_loss = |comparison: &&Value| comparison["metric"] == "loss_per_token";
    let loss = comparisons.iter().find(is_loss).context("the loss was not measured")?;
    ensure!(loss["documents"] == MEASURED, "{loss}");
    // What an export has is the model, and nothing of its folds.
    let files = api.get(&format!("/v1/model-versions/{AUTHOR}-v1/files")).await?;
    ensure!(!files.to_string().contains("fold"), "{files}");
    Ok(())
}
