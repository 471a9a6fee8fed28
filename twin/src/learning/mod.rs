//! The work of the learning loop's child processes, wired: which engines train, answer and score.

mod job;
mod subjects;

use std::path::Path;

use crate::config::Config;

pub use job::{Job, run};

/// Where the base model is that this machine trains and evaluates: the configured one, or the language model.
pub fn base_model(config: &Config) -> &Path {
    let configured = &config.trainer.base;
    if configured.as_os_str().is_empty() { &config.llm.model } else { configured }
}
