use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_embedding::Purpose;

use crate::Error;

/// Which device runs the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU. Needs a CUDA build of ONNX Runtime and this program built with the cargo feature `cuda`.
    Cuda,
}

/// How texts are embedded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmbedderOptions {
    /// The folder with `model.onnx` and `tokenizer.json`. Its name is the first part of the model id.
    pub model_dir: PathBuf,
    /// The ONNX Runtime shared library, version 1.24 or newer.
    pub runtime_library: PathBuf,
    /// Sessions, each with a thread and a copy of the model (about 150 MB for MiniLM). 0: one for each core on
    /// `cpu`, one on `cuda`.
    pub sessions: usize,
    /// The model's window, in tokens with special tokens. A longer text is cut to it.
    pub max_tokens: usize,
    /// Tokens of a batch, filling included. Larger batches are slower on a processor and faster on a GPU.
    pub batch_tokens: usize,
    /// Texts of a batch, at most.
    pub batch_rows: usize,
    /// Which device runs the model.
    pub device: Device,
    /// Put before each query, where the model was trained so (`"query: "` for E5).
    pub query_prefix: String,
    /// Put before each passage, where the model was trained so (`"passage: "` for E5).
    pub passage_prefix: String,
    /// Texts that may wait or be under way, for queries, candidates and passages each; a caller with more waits.
    pub queue: usize,
}

impl Default for EmbedderOptions {
    fn default() -> Self {
        Self {
            model_dir: PathBuf::from("models/minilm"),
            runtime_library: PathBuf::from("onnxruntime/libonnxruntime.so"),
            sessions: 0,
            max_tokens: 256,
            batch_tokens: 512,
            batch_rows: 8,
            device: Device::Cpu,
            query_prefix: String::new(),
            passage_prefix: String::new(),
            queue: 256,
        }
    }
}

/// What of the options belongs to the model, as opposed to the machine: another process needs it to load the same model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModelSettings {
    /// Where the model was when it was last loaded, absolute: the first place to look for it.
    pub(crate) model_dir: PathBuf,
    /// As in [`EmbedderOptions`].
    pub(crate) max_tokens: usize,
    /// As in [`EmbedderOptions`].
    pub(crate) query_prefix: String,
    /// As in [`EmbedderOptions`].
    pub(crate) passage_prefix: String,
    /// SHA-256 of its `tokenizer.json`, hexadecimal. None: an earlier version did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tokenizer: Option<String>,
}

impl ModelSettings {
    /// As the index keeps them. Paths that are no Unicode are the only thing that JSON can not hold: then nothing is kept,
    /// and another process has to be restarted.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl EmbedderOptions {
    /// The model's own part; its tokenizer has that hash.
    pub(crate) fn model_settings(&self, tokenizer: String) -> ModelSettings {
        ModelSettings {
            model_dir: std::path::absolute(&self.model_dir).unwrap_or_else(|_| self.model_dir.clone()),
            max_tokens: self.max_tokens,
            query_prefix: self.query_prefix.clone(),
            passage_prefix: self.passage_prefix.clone(),
            tokenizer: Some(tokenizer),
        }
    }

    /// These options for another model.
    pub(crate) fn with_model(&self, model: ModelSettings) -> Self {
        Self {
            model_dir: model.model_dir,
            max_tokens: model.max_tokens,
            query_prefix: model.query_prefix,
            passage_prefix: model.passage_prefix,
            ..self.clone()
        }
    }

    /// What is put before texts of a purpose.
    pub(crate) fn prefix(&self, purpose: Purpose) -> &str {
        match purpose {
            Purpose::Query => &self.query_prefix,
            Purpose::Candidate | Purpose::Passage => &self.passage_prefix,
        }
    }

    /// Checks what can be checked without opening a file.
    pub fn validate(&self) -> Result<(), Error> {
        let at_least = |key, value: usize, least: usize| {
            if value >= least {
                return Ok(());
            }
            Err(Error::Option { key, problem: format!("is {value}, must be at least {least}") })
        };
        // Two special tokens and something to embed.
        at_least("max_tokens", self.max_tokens, 8)?;
        at_least("batch_tokens", self.batch_tokens, 1)?;
        at_least("batch_rows", self.batch_rows, 1)?;
        at_least("queue", self.queue, 1)?;
        if self.device == Device::Cuda && !cfg!(feature = "cuda") {
            return Err(Error::Option {
                key: "device",
                problem: "is `cuda`, but this program was built without the cargo feature `cuda`".to_owned(),
            });
        }
        Ok(())
    }

    /// How many sessions to run.
    pub(crate) fn session_count(&self) -> usize {
        match (self.sessions, self.device) {
            (0, Device::Cpu) => std::thread::available_parallelism().map_or(1, usize::from),
            (0, Device::Cuda) => 1,
            (sessions, _) => sessions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_can_not_work_is_named() {
        let error = EmbedderOptions { queue: 0, ..EmbedderOptions::default() }.validate().unwrap_err().to_string();
        assert!(error.contains("queue"), "{error}");
        assert!(serde_json::from_str::<EmbedderOptions>(r#"{"max_token": 1}"#).is_err());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn cuda_without_its_cargo_feature_is_refused_with_the_reason() {
        let options = EmbedderOptions { device: Device::Cuda, ..EmbedderOptions::default() };
        let error = options.validate().unwrap_err().to_string();
        assert!(error.contains("cargo feature `cuda`"), "{error}");
    }
}
