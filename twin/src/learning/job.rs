//! What child processes do: `twin job train FOLDER`, `twin job evaluate FOLDER`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Subcommand;
use twin_artifacts::Artifacts;
use twin_evaluator::EvaluationOrder;
use twin_llm::ChatModel;
use twin_llm::openai::OpenAiModel;
use twin_lora::Lora;

use super::base_model;
use super::subjects::OrderedModels;
use crate::config::Config;
use crate::folder::artifacts_of;

/// The work of a child process. A running twin starts these by itself.
#[derive(Debug, Clone, Subcommand)]
pub enum Job {
    /// Train a model.
    Train {
        /// The job's folder.
        folder: PathBuf,
    },
    /// Evaluate a model.
    Evaluate {
        /// The job's folder.
        folder: PathBuf,
    },
}

/// The model that is asked for its preference, if one is configured.
fn judge(config: &Config) -> Result<Option<OpenAiModel>> {
    let options = &config.evaluator;
    let Some(endpoint) = &options.judge_endpoint else { return Ok(None) };
    Ok(Some(OpenAiModel::new(endpoint, &options.judge_model, options.judge_api_key.clone())?))
}

/// Does it. Where this machine has the artifact store and the base model, its configuration says.
pub async fn run(job: Job, config: Config) -> Result<()> {
    let base = base_model(&config);
    let artifacts = Artifacts::url_of_folder(&artifacts_of(&config.data));
    match job {
        Job::Train { folder } => {
            let trained = twin_trainer::work(&folder, &artifacts, base, Arc::new(Lora)).await;
            trained.with_context(|| folder.display().to_string())
        }
        Job::Evaluate { folder } => {
            let subjects = |order: &EvaluationOrder, models: &Path| {
                OrderedModels::new(order, artifacts.clone(), models.to_owned(), base.to_owned(), config.llm.clone())
                    .checked_by(config.embedder.clone())
            };
            let judge = judge(&config)?;
            let judge = judge.as_ref().map(|judge| judge as &dyn ChatModel);
            let evaluated = twin_evaluator::work(&folder, &artifacts, subjects, judge).await;
            evaluated.with_context(|| folder.display().to_string())
        }
    }
}
