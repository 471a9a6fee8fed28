use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_llm::{Device, PromptOptions};
use url::Url;

use crate::mode::Mode;

/// How passages are found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetrievalOptions {
    /// Candidates taken from each of the two searches, by meaning and by words, before they are fused.
    pub candidates: usize,
    /// Cosine similarity (0 to 1) that the best passage must reach; below it the twin says that it does not know. It
    /// depends on the embedding model. Where it is not set, similarity and words count, and how much of them is needed is
    /// measured on each author's own texts: `twin status` shows it.
    pub min_score: Option<f32>,
}

impl Default for RetrievalOptions {
    fn default() -> Self {
        Self { candidates: 50, min_score: None }
    }
}

/// How questions are answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerOptions {
    /// `quote`: in the author's own words, the sentences that answer best, without a language model; none is loaded from
    /// `llm.model` then. `generate`: in words of the model that `llm` names. `auto`: as `generate` where `llm` names a
    /// model or an endpoint; with the default model as `quote`, until a version that was trained on the author is deployed
    /// and has passed its evaluation for grounded answers. Answers in JSON are generated in any case.
    pub mode: Mode,
}

/// The model that writes answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LlmOptions {
    /// A local model: a Hugging Face directory (`config.json`, `tokenizer.json`, safetensors) or a GGUF file.
    pub model: PathBuf,
    /// Base URL of an OpenAI-compatible endpoint, used instead of the local model: `http://host:port/v1`.
    #[schemars(with = "Option<String>")]
    pub endpoint: Option<Url>,
    /// The model's name at the endpoint. Servers of one model take any.
    pub endpoint_model: String,
    /// Key for the endpoint. Better given as `TWIN_LLM_API_KEY`.
    pub api_key: Option<String>,
    /// `auto` (a GPU where the binary was built for one), or `cpu`.
    pub device: Device,
    /// Tokens of an answer, at most; a request may ask for fewer.
    pub max_tokens: u32,
    /// Sampling temperature where a request names none; 0 is greedy.
    pub temperature: f64,
    /// Nucleus sampling where a request names none; 1 is off.
    pub top_p: f64,
    /// How much a token that was written already is held back, 0 (off) to 2: small models repeat themselves without.
    pub frequency_penalty: f32,
    /// Answers generated at once.
    pub concurrency: usize,
    /// Answers that wait for their turn; further ones are refused at once.
    pub queue: usize,
    /// The prompt.
    pub prompt: PromptOptions,
}

impl Default for LlmOptions {
    fn default() -> Self {
        Self {
            model: PathBuf::new(),
            endpoint: None,
            endpoint_model: "default".to_owned(),
            api_key: None,
            device: Device::Auto,
            max_tokens: 200,
            temperature: 0.0,
            top_p: 1.0,
            frequency_penalty: 0.3,
            concurrency: 2,
            queue: 16,
            prompt: PromptOptions::default(),
        }
    }
}
