//! The port to what trains.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Plan, Recipe};

/// A training run, as files of the machine that does it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The base model, a Hugging Face directory.
    pub base: PathBuf,
    /// Samples to learn from: a JSONL file of [`twin_schemas::ChatSample`] (SFT) or [`twin_schemas::PreferenceSample`]
    /// (DPO).
    pub train: PathBuf,
    /// Samples to evaluate on, of the same form.
    pub validation: Option<PathBuf>,
    /// Those of the recipe's stages after the first, in their order.
    #[serde(default)]
    pub following: Vec<SampleFiles>,
    /// How.
    pub recipe: Recipe,
    /// Where checkpoints and, in the end, `output` are written. A run with the same task and folder goes on where the
    /// last one was interrupted.
    pub folder: PathBuf,
    /// Threads; none is as many as the machine has.
    pub threads: Option<usize>,
    /// Whether the model with the adapter merged into it is written, beside the adapter.
    pub merge: bool,
}

impl Task {
    /// Where the result will be.
    pub fn output(&self) -> PathBuf {
        self.folder.join("output")
    }
}

/// The samples of a stage, each a JSONL file in the form that its method learns from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleFiles {
    /// To learn from.
    pub train: PathBuf,
    /// To evaluate on.
    pub validation: Option<PathBuf>,
}

/// How far a run is, after a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The stage under way, from 0.
    pub stage: usize,
    /// Steps done, of all stages.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// Mean loss of this step, nats per token (SFT) or per pair (DPO).
    pub loss: f64,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Tokens computed since the run began, those of an interrupted run included.
    pub tokens: usize,
    /// Tokens computed in a second, since this call began.
    pub tokens_per_s: f64,
    /// Seconds that the remaining steps will take at that pace.
    pub eta_s: f64,
    /// The loss of the stage's newest evaluation.
    pub evaluation_loss: Option<f64>,
    /// Steps done, of all stages, when that was measured: of a run that goes on, before it was interrupted.
    #[serde(default)]
    pub evaluated_at: Option<usize>,
}

/// Who watches a run.
pub trait Observer: Send {
    /// A step is done.
    fn progress(&mut self, progress: &Progress);

    /// All that was done up to that step is in this folder, below the task's: put into the same place of another
    /// machine's folder, the run goes on from there.
    fn checkpoint(&mut self, _step: usize, _folder: &Path) {}

    /// Asked before each step and within an evaluation: true ends the run, with a checkpoint of all that was done.
    fn stop(&mut self) -> bool {
        false
    }
}

/// A value that a run measured at a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// `loss`, `evaluation_loss`, `learning_rate`, …; losses of a later stage are others ([`crate::metric_of`]).
    pub name: String,
    /// The optimizer step.
    pub step: u64,
    /// The value.
    pub value: f64,
}

/// A finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// The folder with `adapter/` (PEFT's form), `merged/` (a Hugging Face directory) where it was asked for, and the
    /// loss curve: `loss.csv`, `loss.json`, `loss.svg`.
    pub output: PathBuf,
    /// Optimizer steps done.
    pub steps: u64,
    /// Loss on the validation samples at the end; of a run in stages, of the last one that has such samples.
    pub evaluation_loss: Option<f64>,
    /// Every value of the run, of the steps before an interruption too.
    pub measured: Vec<Measured>,
}

/// What trains.
pub trait Engine: Send + Sync {
    /// What a run would be: reads the samples and trains nothing. Blocks for as long as that takes.
    ///
    /// # Errors
    /// As [`Self::train`], as far as it comes to that.
    fn plan(&self, task: &Task) -> Result<Plan, twin_backend::Error>;

    /// Does a run. Blocks until it is done: hours, for a large model.
    ///
    /// # Errors
    /// A recipe, model or data file that can not be used does not pass; a full disk and what else passes says so, and
    /// the same call goes on from the newest checkpoint.
    fn train(&self, task: &Task, observer: &mut dyn Observer) -> Result<Finished, twin_backend::Error>;
}
