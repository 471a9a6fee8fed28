//! An adapter that was stored, merged into its base model: for whoever serves or scores models and no adapters.

use std::collections::BTreeSet;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde::Deserialize;

use super::error::Error;
use super::export::{Merge, base_of};
use super::files;
use super::lora::Parameter;
use super::weights::Weights;

/// What the names of an adapter's matrices begin with in PEFT's files.
const PREFIX: &str = "base_model.model.";
/// What tells the first matrix of a pair, and the second.
const FIRST: &str = ".lora_A.";
const SECOND: &str = ".lora_B.";

/// Of PEFT's `adapter_config.json`, what merging needs.
#[derive(Deserialize)]
struct Config {
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    use_rslora: bool,
}

impl Config {
    /// What the adapter's output is scaled by ([`twin_training::Recipe::scale`]).
    fn scale(&self) -> f64 {
        let rank = self.r as f64;
        self.lora_alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }
}

/// Writes a model into `folder`, in place of what is there: the base model with the adapter merged into it, the same bytes
/// that a run with [`twin_training::Task::merge`] leaves. `adapter` is a folder in the form that a run leaves, PEFT's. The
/// folder is there as a whole or not at all.
///
/// # Errors
/// An adapter that is damaged, or is for another base model than `base`; files that can not be read or written.
pub fn merge(base: &Path, adapter: &Path, folder: &Path) -> Result<(), Error> {
    let (parameters, scale) = read(adapter)?;
    require_base(base, &parameters)?;
    let partial = folder.with_extension("partial");
    let written = files::fresh(&partial).and_then(|()| Merge { base, parameters: &parameters, scale }.files(&partial));
    let published = written.and_then(|_| files::publish(&partial.join("merged"), folder));
    files::discard(&partial);
    published
}

/// Every pair is of a weight that the base model has.
fn require_base(base: &Path, parameters: &[Parameter]) -> Result<(), Error> {
    let shards = Weights::open(base)?.shards;
    let known: BTreeSet<&str> =
        shards.iter().flat_map(|shard| &shard.tensors).filter_map(|(name, _)| name.strip_suffix(".weight")).collect();
    let missing = parameters.iter().step_by(2).map(|first| base_of(&first.name)).find(|name| !known.contains(name));
    missing.map_or(Ok(()), |name| Err(Error::MissingTensor(format!("{name}.weight"))))
}

/// The matrices of an adapter, A, B, A, B ..., and their scale.
fn read(adapter: &Path) -> Result<(Vec<Parameter>, f64), Error> {
    let bytes_of = |path: &Path| std::fs::read(path).map_err(Error::at(path));
    let path = adapter.join("adapter_config.json");
    let config: Config = serde_json::from_slice(&bytes_of(&path)?).map_err(|error| Error::malformed(&path, error))?;
    let path = adapter.join("adapter_model.safetensors");
    let bytes = bytes_of(&path)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| Error::malformed(&path, error))?;
    let mut names: Vec<&str> = tensors.names().into_iter().filter(|name| name.contains(FIRST)).collect();
    names.sort_unstable();
    let mut parameters = Vec::with_capacity(2 * names.len());
    for name in names {
        parameters.push(parameter(&tensors, name, &path)?);
        parameters.push(parameter(&tensors, &name.replace(FIRST, SECOND), &path)?);
    }
    match parameters.is_empty() {
        true => Err(Error::malformed(&path, "no pair of matrices is in it")),
        false => Ok((parameters, config.scale())),
    }
}

fn parameter(tensors: &SafeTensors<'_>, name: &str, path: &Path) -> Result<Parameter, Error> {
    let tensor = tensors.tensor(name).map_err(|error| Error::malformed(path, format!("{name}: {error}")))?;
    let (numbers, rest) = tensor.data().as_chunks::<4>();
    let &[rows, columns] = tensor.shape() else {
        return Err(Error::malformed(path, format!("{name} is no matrix")));
    };
    if tensor.dtype() != Dtype::F32 || !rest.is_empty() || numbers.len() != rows * columns {
        return Err(Error::malformed(path, format!("{name} is of another type or shape than its header says")));
    }
    let values = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
    let name = name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    Ok(Parameter { name, shape: (rows, columns), values })
}
