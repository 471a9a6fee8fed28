use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How training jobs are started and run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Whether a new dataset version starts a job by itself. Without, `twin train` starts it.
    pub automatic: bool,
    /// The base model, a Hugging Face directory. Empty: that of `llm.model`.
    pub base: PathBuf,
    /// The recipe of jobs, a TOML file. Empty: the recipe's defaults with 200 steps at most. A recipe that was set for an author (by a sweep or
    /// by hand) comes before.
    pub recipe: PathBuf,
    /// Resident memory of a job, MB. A job that needs more is killed.
    pub max_memory_mb: u64,
    /// Minutes of a job's attempt. One that takes longer is killed.
    pub max_minutes: u64,
    /// Times that a job is started before it counts as failed. It goes on from its last checkpoint.
    pub attempts: u32,
    /// Threads of a job; 0 is as many as the machine has.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            automatic: true,
            base: PathBuf::new(),
            recipe: PathBuf::new(),
            max_memory_mb: 16_384,
            max_minutes: 24 * 60,
            attempts: 3,
            threads: 0,
        }
    }
}
