//! What child processes do: `twin job train FOLDER`, `twin job evaluate FOLDER`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Subcommand;

use super::subjects::OrderedModels;
use crate::config::Config;

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

/// Does it.
pub async fn run(job: Job, config: Config) -> Result<()> {
    match job {
        Job::Train { folder } => twin_trainer::work(&folder).await.with_context(|| folder.display().to_string()),
        Job::Evaluate { folder } => {
            let subjects = |order: &twin_evaluator::Order| OrderedModels::new(order, config.llm.clone());
            let evaluated = twin_evaluator::work(&folder, subjects, None).await;
            evaluated.with_context(|| folder.display().to_string())
        }
    }
}
