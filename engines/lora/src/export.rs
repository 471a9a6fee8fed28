//! What a run leaves: the adapter in PEFT's form, the model with the adapter merged into it, and the losses.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::View;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use twin_training::{Fit, Recipe};

use super::checkpoint::serialized;
use super::curve::Curve;
use super::error::Error;
use super::files::{self, FileEntry, HashedFile};
use super::lora::{Adapter, Parameter};
use super::task::{Fingerprint, SampleHashes};
use super::weights::{Shard, Weights, dtype};

/// What the output folder holds and what it was made of. It names no time and no machine: the same work gives the same
/// text, as far as the processor computes the same numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// Name of the base model's folder.
    pub base: String,
    /// The base model's weight files.
    pub base_files: Vec<FileEntry>,
    /// SHA-256 of the training file.
    pub train_sha256: String,
    /// SHA-256 of the validation file.
    pub validation_sha256: Option<String>,
    /// The same of the stages after the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub following: Vec<SampleHashes>,
    /// How it was trained: with all filled in that was left open.
    pub recipe: Recipe,
    /// What came of it.
    pub summary: Summary,
    /// All other files in the folder, by their paths.
    pub files: Vec<FileEntry>,
}

/// A run in a few numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Steps done.
    pub steps: usize,
    /// Steps planned.
    pub planned_steps: usize,
    /// Training, or one of its stages, ended before that, for want of progress.
    pub ended_early: bool,
    /// Samples that are in at least one of the steps planned.
    pub samples: usize,
    /// Samples left out because they are longer than a pack.
    pub too_long: usize,
    /// The samples of both files by kind, and of each those left out and those that no step sees.
    pub fit: BTreeMap<String, Fit>,
    /// Numbers that were learned.
    pub parameters: usize,
    /// Tokens computed in training.
    pub tokens: usize,
    /// Loss of the first step.
    pub first_loss: f64,
    /// Mean loss of the last tenth of the steps; of a run in stages, of its last stage's.
    pub last_loss: f64,
    /// Evaluation loss of the base model.
    pub base_evaluation_loss: Option<f64>,
    /// Evaluation loss of the exported weights. Of a run in stages it is that of the last one that has samples for it, and
    /// where these are preferences no likelihood of answers, as that of the base model is.
    pub evaluation_loss: Option<f64>,
}

/// What an export is made from.
pub(crate) struct Export<'a> {
    pub base: &'a Path,
    pub adapter: &'a Adapter,
    pub recipe: &'a Recipe,
    pub curve: &'a Curve,
    pub summary: Summary,
    pub fingerprint: Fingerprint,
    /// Whether the merged model is written.
    pub merge: bool,
}

impl Export<'_> {
    /// Writes the folder. It gets its name when it is complete; if it can not be written, nothing of it is left.
    pub fn write(self, folder: &Path) -> Result<Manifest, Error> {
        let partial = folder.with_extension("partial");
        let manifest = self.write_in(&partial).inspect_err(|_| files::discard(&partial))?;
        files::publish(&partial, folder)?;
        Ok(manifest)
    }

    fn write_in(self, partial: &Path) -> Result<Manifest, Error> {
        files::fresh(partial)?;
        let mut entries = self.adapter_files(partial)?;
        let base_files = if self.merge {
            let merge = Merge { base: self.base, parameters: &self.adapter.parameters, scale: self.adapter.scale() };
            let (merged, base_files) = merge.files(partial)?;
            entries.extend(merged);
            base_files
        } else {
            self.base_files()?
        };
        let curve = serde_json::to_vec_pretty(self.curve).map_err(|error| Error::malformed(partial, error))?;
        entries.push(files::write(partial, "loss.csv", self.curve.csv().as_bytes())?);
        entries.push(files::write(partial, "loss.json", &curve)?);
        entries.push(files::write(partial, "loss.svg", self.curve.svg()?.as_bytes())?);
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let manifest = Manifest {
            base: base_name(self.base),
            base_files,
            train_sha256: self.fingerprint.train,
            validation_sha256: self.fingerprint.validation,
            following: self.fingerprint.following,
            recipe: self.recipe.clone(),
            summary: self.summary,
            files: entries,
        };
        let text = serde_json::to_vec_pretty(&manifest).map_err(|error| Error::malformed(partial, error))?;
        files::write(partial, "manifest.json", &text)?;
        Ok(manifest)
    }

    /// Hugging Face PEFT's form, which mistral.rs reads as well.
    fn adapter_files(&self, partial: &Path) -> Result<Vec<FileEntry>, Error> {
        let named = |parameter: &'_ Parameter| format!("base_model.model.{}", parameter.name);
        let matrices = self.adapter.parameters.iter();
        let matrices = matrices.map(|parameter| (named(parameter), parameter.shape, parameter.values.as_slice()));
        let tensors = serialized(matrices.collect()).map_err(|error| Error::malformed(partial, error))?;
        let targets: Vec<&str> = self.adapter.targets().iter().map(|target| target.as_str()).collect();
        let config = json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base_name(self.base),
            "r": self.recipe.rank, "lora_alpha": self.recipe.alpha, "lora_dropout": self.recipe.dropout,
            "target_modules": targets, "bias": "none", "fan_in_fan_out": false, "inference_mode": true,
            "modules_to_save": null, "use_rslora": self.recipe.rslora, "use_dora": false, "rank_pattern": {}, "alpha_pattern": {},
            "init_lora_weights": true,
        });
        let config = serde_json::to_vec_pretty(&config).map_err(|error| Error::malformed(partial, error))?;
        Ok(vec![
            files::write(partial, "adapter/adapter_model.safetensors", &tensors)?,
            files::write(partial, "adapter/adapter_config.json", &config)?,
        ])
    }

    /// What the base's weight files are.
    fn base_files(&self) -> Result<Vec<FileEntry>, Error> {
        let shards = Weights::open(self.base)?.shards;
        let entries = shards.iter().map(|shard| {
            let bytes = std::fs::metadata(&shard.path).map_err(Error::at(&shard.path))?.len();
            Ok(FileEntry { path: base_name(&shard.path), sha256: files::sha256(&shard.path)?, bytes })
        });
        entries.collect()
    }
}

/// An adapter that is merged into its base model.
pub(crate) struct Merge<'a> {
    pub base: &'a Path,
    /// A, B, A, B ...
    pub parameters: &'a [Parameter],
    pub scale: f64,
}

impl Merge<'_> {
    /// The base model's files with the adapter's product added to the weights, and what the base's weight files were.
    pub fn files(&self, partial: &Path) -> Result<(Vec<FileEntry>, Vec<FileEntry>), Error> {
        let (mut written, mut read) = (Vec::new(), Vec::new());
        let pairs: BTreeMap<&str, &[Parameter]> =
            self.parameters.chunks_exact(2).map(|pair| (base_of(&pair[0].name), pair)).collect();
        for shard in Weights::open(self.base)?.shards {
            let name = base_name(&shard.path);
            let merged = self.merge(&shard, &pairs, partial, &format!("merged/{name}"))?;
            read.push(FileEntry { path: name, sha256: files::sha256(&shard.path)?, bytes: merged.bytes });
            written.push(merged);
        }
        for entry in std::fs::read_dir(self.base).map_err(Error::at(self.base))? {
            let path = entry.map_err(Error::at(self.base))?.path();
            let name = base_name(&path);
            if [".json", ".jinja", ".model", ".txt"].iter().any(|ending| name.ends_with(ending)) {
                let bytes = std::fs::read(&path).map_err(Error::at(&path))?;
                written.push(files::write(partial, &format!("merged/{name}"), &bytes)?);
            }
        }
        Ok((written, read))
    }

    /// Copies a weight file, one tensor in memory at a time. Types, shapes and places stay, so the header does too.
    fn merge(
        &self,
        shard: &Shard,
        pairs: &BTreeMap<&str, &[Parameter]>,
        partial: &Path,
        name: &str,
    ) -> Result<FileEntry, Error> {
        let path = partial.join(name);
        let mut file = HashedFile::create(&path)?;
        file.write(&shard.header)?;
        for (tensor, info) in &shard.tensors {
            let bytes = shard.bytes(info)?;
            match tensor.strip_suffix(".weight").and_then(|prefix| pairs.get(prefix)) {
                Some([a, b]) => {
                    let weight =
                        Tensor::from_raw_buffer(&bytes, dtype(tensor, info.dtype)?, &info.shape, &Device::Cpu)?;
                    file.write(&merged(&weight, a, b, self.scale)?.data())?;
                }
                _ => file.write(&bytes)?,
            }
        }
        file.finish(name)
    }
}

/// `W + scale B A`, added in F32.
fn merged(weight: &Tensor, a: &Parameter, b: &Parameter, scale: f64) -> Result<Tensor, Error> {
    let matrix = |parameter: &Parameter| Tensor::from_slice(&parameter.values, parameter.shape, &Device::Cpu);
    let difference = (matrix(b)?.matmul(&matrix(a)?)? * scale)?;
    Ok((weight.to_dtype(DType::F32)? + difference)?.to_dtype(weight.dtype())?)
}

/// `model.layers.0.self_attn.q_proj` of `model.layers.0.self_attn.q_proj.lora_A.weight`.
pub(crate) fn base_of(name: &str) -> &str {
    name.strip_suffix(".lora_A.weight").unwrap_or(name)
}

fn base_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
