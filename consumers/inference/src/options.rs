use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_llm::openai::{OpenAiModel, Profile};
use twin_llm::{Device, PromptOptions};
use url::Url;

use crate::mode::Mode;

/// Tokens that a model which reasons is given for that, beside those of its answer.
const THOUGHT_TOKENS: u32 = 4_096;

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerOptions {
    /// `quote`: in the author's own words, the sentences that answer best, without a language model; none is loaded from
    /// `llm.model` then. `generate`: in words of the model that `llm` names. `auto`: as `generate` where `llm` names a
    /// model or an endpoint; with the default model as `quote`, until a version that was trained on the author is deployed
    /// and has passed its evaluation for grounded answers. Answers in JSON are generated in any case.
    pub mode: Mode,
    /// Of the sentences of a generated answer that claim something, the share (0 to 1) that passages must support; below it the
    /// answer is replaced by quotations. At one half, no more of an answer is without support than is with it. 0: none is, but
    /// an empty one.
    pub min_grounded: f32,
}

impl Default for AnswerOptions {
    fn default() -> Self {
        Self { mode: Mode::default(), min_grounded: 0.5 }
    }
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
    /// How the endpoint is asked. `auto`: with all parameters, and without those that it refuses by name (`max_tokens` becomes
    /// `max_completion_tokens`), which is learned from its first refusal; a value that it refuses is left out for an hour,
    /// and another value is sent. `openai`: with all of them; a refusal fails the question. `reasoning`: from the first
    /// question on as models take it that reason, without temperature, `top_p`, penalties and `stop`; else as `auto`.
    pub profile: Profile,
    /// Tokens of a prompt and its answer that the endpoint's model has room for.
    pub endpoint_window: u32,
    /// `auto` (a GPU where the binary was built for one), or `cpu`.
    pub device: Device,
    /// Versions of authors' models in memory at once, at least 1. The one that was asked least recently makes room for
    /// another, and is loaded again when it is asked. One of the default model takes half a gigabyte.
    pub max_versions: usize,
    /// Tokens of an answer, at most, where the request does not say. One that does may ask for as many as the model's window
    /// leaves beside the prompt. With `llm.profile` = `reasoning` the endpoint is asked for 4,096 more, since what the model
    /// thinks counts too; a request that says asks for what it says.
    pub max_tokens: u32,
    /// Sampling temperature where a request names none; 0 is greedy.
    pub temperature: f64,
    /// Nucleus sampling where a request names none; 1 is off.
    pub top_p: f64,
    /// How much a token is held back for each time that it was written already, 0 (off) to 2: small models repeat themselves
    /// without. That is for an answer of `llm.max_tokens`; in longer ones it counts less, in proportion. It holds where a
    /// request names none.
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
            profile: Profile::Auto,
            endpoint_window: OpenAiModel::WINDOW,
            device: Device::Auto,
            max_versions: 4,
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

impl LlmOptions {
    /// Tokens that a model is asked for where the request does not say.
    pub(crate) fn default_tokens(&self) -> u32 {
        self.with_thoughts(self.max_tokens)
    }

    /// Tokens that a model is asked for, so that it can write so many. Endpoints of models that reason count what is thought, too.
    pub(crate) fn with_thoughts(&self, tokens: u32) -> u32 {
        let thinks = self.endpoint.is_some() && self.profile == Profile::Reasoning;
        if thinks { tokens.saturating_add(THOUGHT_TOKENS) } else { tokens }
    }

    /// The penalty of an answer of so many tokens. It grows with each time that a common word is said: in a text of a
    /// thousand tokens the same one would forbid "the".
    pub(crate) fn penalty_within(&self, max_tokens: u32) -> f32 {
        self.frequency_penalty * (self.max_tokens as f32 / max_tokens.max(1) as f32).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_reasons_is_given_room_for_it_beside_its_answer() {
        let endpoint = Some(Url::parse("http://127.0.0.1:1/v1").unwrap());
        let plain = LlmOptions { endpoint: endpoint.clone(), ..LlmOptions::default() };
        let reasoning = LlmOptions { profile: Profile::Reasoning, endpoint, ..LlmOptions::default() };
        let local = LlmOptions { profile: Profile::Reasoning, ..LlmOptions::default() };
        assert_eq!([&plain, &local].map(LlmOptions::default_tokens), [200, 200]);
        assert_eq!((reasoning.default_tokens(), reasoning.with_thoughts(u32::MAX)), (4_296, u32::MAX));
    }

    #[test]
    fn the_penalty_of_a_long_answer_is_less_in_proportion_and_that_of_a_short_one_the_same() {
        let options = LlmOptions::default();
        let penalty = |max_tokens| options.penalty_within(max_tokens);
        assert_eq!((penalty(10), penalty(200)), (options.frequency_penalty, options.frequency_penalty));
        assert!((penalty(800) - options.frequency_penalty / 4.0).abs() < 1e-6);
        assert_eq!(penalty(0), options.frequency_penalty);
    }
}
