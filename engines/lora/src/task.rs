//! What is to be trained, and who watches.

use std::path::PathBuf;

use candle_core::Device;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::Error;
use super::files;
use super::recipe::Recipe;
use super::weights::Weights;

/// A training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The base model, a Hugging Face directory.
    pub base: PathBuf,
    /// Samples to learn from: a JSONL file of [`twin_schemas::ChatSample`] (SFT) or [`twin_schemas::PreferenceSample`]
    /// (DPO).
    pub train: PathBuf,
    /// Samples to evaluate on, of the same form.
    pub validation: Option<PathBuf>,
    /// How.
    pub recipe: Recipe,
    /// Where checkpoints and, in the end, `output` are written. A run with the same task and folder goes on where the
    /// last one was interrupted.
    pub folder: PathBuf,
    /// Threads; none is as many as the machine has.
    pub threads: Option<usize>,
}

impl Task {
    /// A hash of all that decides the result: recipe, base model and data. The base model's weights are represented by
    /// their files' headers and lengths.
    pub(crate) fn fingerprint(&self) -> Result<Fingerprint, Error> {
        let train = files::sha256(&self.train)?;
        let validation = self.validation.as_deref().map(files::sha256).transpose()?;
        let mut hash = Sha256::new();
        hash.update(self.recipe.canonical());
        hash.update(&train);
        hash.update(validation.as_deref().unwrap_or("none"));
        for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
            hash.update(files::sha256(&self.base.join(name))?);
        }
        for shard in Weights::open(&self.base)?.shards {
            hash.update(&shard.header);
        }
        Ok(Fingerprint { task: hex::encode(hash.finalize()), train, validation })
    }

    /// Where the result will be.
    pub fn output(&self) -> PathBuf {
        self.folder.join("output")
    }
}

pub(crate) struct Fingerprint {
    pub task: String,
    pub train: String,
    pub validation: Option<String>,
}

/// How far a run is, after a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
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
    /// The newest evaluation's loss.
    pub evaluation_loss: Option<f64>,
}

/// Who watches a run.
pub trait Observer: Send {
    /// A step is done.
    fn progress(&mut self, progress: &Progress);

    /// Asked before each step and within an evaluation: true ends the run, with a checkpoint of all that was done.
    fn stop(&mut self) -> bool {
        false
    }
}

/// The first GPU in a build for GPUs, otherwise the CPU.
pub(crate) fn device() -> Result<Device, Error> {
    Ok(Device::cuda_if_available(0)?)
}
