use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_training::{Error, Recipe};

use crate::folds::FoldLimits;

/// How training jobs are started and run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Whether a new dataset version starts a job by itself. Without, `twin train` starts it.
    pub automatic: bool,
    /// What follows where the version of an author that serves was trained with another base model or other prompts than
    /// there are now. It serves until another is approved in any case.
    pub retrain_on_change: OnChange,
    /// The base model, a Hugging Face directory. Empty: that of `llm.model`.
    pub base: PathBuf,
    /// The recipe of jobs, a TOML file. Empty: all of it follows from the dataset and the base model, and training ends
    /// when the validation loss no longer falls. A recipe that was set for an author (by a sweep or by hand) comes before.
    pub recipe: PathBuf,
    /// Share of the samples of a kind that may be too long for a job's packs or its base model, 0 to 1. With more of them
    /// the job fails and says which key to set.
    pub max_left_out: f64,
    /// Adapters that a job trains beside the model where the test split is small, each without some of the documents: by them
    /// the evaluation measures every document as text that was not seen. Each takes about as long as the model. 0 or 1:
    /// none.
    pub folds: usize,
    /// Documents of the test split from which on no folds are trained. At most 40: larger versions of a dataset do not keep
    /// what folds are made of.
    pub folds_below: u64,
    /// Steps that the training of the model may have, at most, for folds to be trained: longer ones would take a day.
    pub folds_steps: u64,
    /// Jobs that a process of the twin has under way at once. Each uses `trainer.threads` threads and up to
    /// `trainer.max_memory_mb`.
    pub jobs: usize,
    /// Resident memory of a job, MB. A job that needs more is killed.
    pub max_memory_mb: u64,
    /// Minutes of a job's attempt. One that takes longer is killed.
    pub max_minutes: u64,
    /// Times that a job is started before it counts as failed. It goes on from its last checkpoint. A job that waits
    /// for a store that is away is started again without being counted.
    pub attempts: u32,
    /// Threads of a job; 0 is as many as the machine has.
    pub threads: usize,
}

/// What follows where a version that serves was trained with something else than what there is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnChange {
    /// A retraining is offered: `twin learning status` shows it, `twin train` takes it.
    Offer,
    /// Each such author is trained anew, one job after the other, whatever `trainer.automatic` says.
    Train,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            automatic: true,
            retrain_on_change: OnChange::Offer,
            base: PathBuf::new(),
            recipe: PathBuf::new(),
            max_left_out: 0.01,
            folds: 5,
            folds_below: 20,
            folds_steps: 200,
            jobs: 1,
            max_memory_mb: 16_384,
            max_minutes: 24 * 60,
            attempts: 3,
            threads: 0,
        }
    }
}

impl Options {
    /// When a job trains folds.
    pub fn fold_limits(&self) -> FoldLimits {
        FoldLimits { folds: self.folds, below: self.folds_below, steps: self.folds_steps }
    }

    /// The recipe of jobs of authors that have none of their own: the configured one, or one whose length, rate, targets
    /// and packs follow from the dataset and the base model, and that ends when the validation loss no longer falls. Its
    /// evaluations take about a fifth of the time.
    pub fn default_recipe(&self) -> Result<Recipe, Error> {
        if self.recipe.as_os_str().is_empty() {
            return Ok(Recipe { rank: 16, eval_every: 25, eval_samples: 24, patience: 3, ..Recipe::default() });
        }
        let read = std::fs::read_to_string(&self.recipe);
        Recipe::from_toml(&read.map_err(|source| Error::File { path: self.recipe.clone(), source })?)
    }
}
