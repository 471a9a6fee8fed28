//! What of a task decides its result, and where it is computed.

use candle_core::{DType, Device};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use twin_training::{Precision, SampleFiles, Task};

use super::error::Error;
use super::files;
use super::weights::Weights;

/// The version of what this program itself decides: how conversations become tokens, which samples are drawn to evaluate on,
/// what dropout drops. One more with each change of these, so that no run goes on with something else than it began with.
const FORMAT: u32 = 1;

/// A hash of all that decides the result: this program's [`FORMAT`], recipe, base model and data. The base model's weights are
/// represented by their files' headers and lengths: that they are those of the job was seen before
/// ([`twin_training::Base::require`]).
pub(crate) fn fingerprint(task: &Task) -> Result<Fingerprint, Error> {
    let train = files::sha256(&task.train)?;
    let validation = task.validation.as_deref().map(files::sha256).transpose()?;
    let mut hash = Sha256::new();
    hash.update(FORMAT.to_le_bytes());
    hash.update(task.recipe.canonical());
    hash.update(&train);
    hash.update(validation.as_deref().unwrap_or("none"));
    let following: Result<Vec<SampleHashes>, Error> = task.following.iter().map(SampleHashes::of).collect();
    let following = following?;
    for files in &following {
        hash.update(&files.train_sha256);
        hash.update(files.validation_sha256.as_deref().unwrap_or("none"));
    }
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        hash.update(files::sha256(&task.base.join(name))?);
    }
    let template = task.base.join("chat_template.jinja");
    if template.try_exists().map_err(Error::at(&template))? {
        hash.update(files::sha256(&template)?);
    }
    for shard in Weights::open(&task.base)?.shards {
        hash.update(&shard.header);
    }
    Ok(Fingerprint { task: hex::encode(hash.finalize()), train, validation, following })
}

pub(crate) struct Fingerprint {
    pub task: String,
    pub train: String,
    pub validation: Option<String>,
    pub following: Vec<SampleHashes>,
}

/// Which samples a stage had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SampleHashes {
    /// SHA-256 of the training file.
    pub train_sha256: String,
    /// SHA-256 of the validation file.
    pub validation_sha256: Option<String>,
}

impl SampleHashes {
    fn of(samples: &SampleFiles) -> Result<Self, Error> {
        let validation_sha256 = samples.validation.as_deref().map(files::sha256).transpose()?;
        Ok(Self { train_sha256: files::sha256(&samples.train)?, validation_sha256 })
    }
}

/// The first GPU in a build for GPUs, otherwise the CPU.
pub(crate) fn device() -> Result<Device, Error> {
    Ok(Device::cuda_if_available(0)?)
}

/// The type of a precision's numbers on a device.
pub(crate) fn numbers(precision: Precision, device: &Device) -> Result<DType, Error> {
    match precision {
        Precision::F32 => Ok(DType::F32),
        Precision::Bf16 if device.is_cpu() => {
            let problem = "is `bf16`, which needs a GPU and a twin built for it: set `f32`".to_owned();
            Err(twin_training::Error::Recipe { key: "precision", problem }.into())
        }
        Precision::Bf16 => Ok(DType::BF16),
    }
}
