//! The request of OpenAI's chat completions. Every field of that API is here: honoured, refused by name where it asks for
//! something that a twin does not do, or one of the few that change nothing about an answer.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::text_or_list::text_or_list;

use super::format::Format;

/// What model names start with.
pub const MODEL_PREFIX: &str = "twin/";

/// A chat completion to create (OpenAI's API). A field that is not here is refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatRequest {
    /// `twin/<author>`.
    #[schema(example = "twin/ada")]
    pub model: String,
    /// The conversation, oldest first, up to `gateway.max_conversation_chars` characters; the last message is the user's
    /// question, up to `gateway.max_question_chars`.
    pub messages: Vec<Message>,
    /// 0 (always the likeliest token) to 2.
    pub(super) temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    pub(super) top_p: Option<f64>,
    /// Tokens to generate, at most: up to what the model's window leaves beside the prompt. `max_completion_tokens` goes
    /// before it.
    pub(super) max_tokens: Option<u32>,
    /// Tokens to generate, at most: up to what the model's window leaves beside the prompt.
    pub(super) max_completion_tokens: Option<u32>,
    /// How much a token is held back for each time that the answer has it already, -2 to 2.
    pub(super) frequency_penalty: Option<f64>,
    /// How much a token is held back that the answer has already, -2 to 2.
    pub(super) presence_penalty: Option<f64>,
    /// Makes sampling repeatable: the same request with the same seed is answered the same way, as far as the model
    /// computes the same and the author's documents are the same.
    pub(super) seed: Option<i64>,
    /// The form of the content: text, a JSON object, or JSON that a schema allows. A model that can not do it refuses.
    pub(super) response_format: Option<Format>,
    /// A text, or up to four, that end the answer.
    pub(super) stop: Option<Stop>,
    /// Answers wanted: a twin gives 1.
    pub(super) n: Option<u32>,
    /// Answer as server-sent events.
    pub stream: Option<bool>,
    /// Only with `stream`.
    pub stream_options: Option<StreamOptions>,

    /// Refused unless empty: a twin calls no tools.
    #[schema(value_type = Option<Object>)]
    pub(super) tools: Option<Value>,
    /// Refused unless `none`: a twin calls no tools.
    #[schema(value_type = Option<Object>)]
    pub(super) tool_choice: Option<Value>,
    /// Refused unless false: a twin calls no tools.
    pub(super) parallel_tool_calls: Option<bool>,
    /// Refused unless empty: a twin calls no functions.
    #[schema(value_type = Option<Object>)]
    pub(super) functions: Option<Value>,
    /// Refused unless `none`: a twin calls no functions.
    #[schema(value_type = Option<Object>)]
    pub(super) function_call: Option<Value>,
    /// Refused unless false: a twin tells no probabilities of tokens.
    pub(super) logprobs: Option<bool>,
    /// Refused: a twin tells no probabilities of tokens.
    pub(super) top_logprobs: Option<u32>,
    /// Refused unless empty: tokens are those of the twin's model, which changes.
    #[schema(value_type = Option<Object>)]
    pub(super) logit_bias: Option<Value>,
    /// Refused: a twin answers in text.
    #[schema(value_type = Option<Object>)]
    pub(super) audio: Option<Value>,
    /// Refused unless it is `text` alone.
    pub(super) modalities: Option<Vec<String>>,
    /// Refused: a twin does not edit a text that is known.
    #[schema(value_type = Option<Object>)]
    pub(super) prediction: Option<Value>,
    /// Refused: how the twin's model works is for who runs it to say.
    pub(super) reasoning_effort: Option<String>,
    /// Refused: `max_completion_tokens` bounds an answer.
    pub(super) verbosity: Option<String>,
    /// Refused: a twin answers from what its author has published.
    #[schema(value_type = Option<Object>)]
    pub(super) web_search_options: Option<Value>,
    /// Refused unless false: completions are not kept.
    pub(super) store: Option<bool>,

    /// Accepted, and changes nothing.
    #[allow(dead_code, reason = "it changes nothing")]
    pub(super) metadata: Option<Map<String, Value>>,
    /// Accepted, and changes nothing.
    #[allow(dead_code, reason = "it changes nothing")]
    pub(super) user: Option<String>,
    /// Accepted, and changes nothing.
    #[allow(dead_code, reason = "it changes nothing")]
    pub(super) safety_identifier: Option<String>,
    /// Accepted, and changes nothing.
    #[allow(dead_code, reason = "it changes nothing")]
    pub(super) prompt_cache_key: Option<String>,
    /// Accepted, and changes nothing.
    #[allow(dead_code, reason = "it changes nothing")]
    pub(super) prompt_cache_retention: Option<String>,
    /// Accepted, and changes nothing.
    #[allow(dead_code, reason = "it changes nothing")]
    pub(super) service_tier: Option<String>,
}

/// How to stream.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamOptions {
    /// Send the usage in a last chunk of its own.
    pub include_usage: Option<bool>,
    /// Refused unless false: chunks are not padded.
    pub include_obfuscation: Option<bool>,
}

/// One message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks. A twin calls no tools, so there are no messages of tools.
    pub(super) role: ChatRole,
    /// What is said.
    pub(super) content: Option<Content>,
    /// In place of the content: why the assistant did not answer, as it was told before.
    pub(super) refusal: Option<String>,
    /// Accepted, and changes nothing.
    #[allow(dead_code, reason = "it changes nothing")]
    pub(super) name: Option<String>,
    /// Refused unless empty: a twin calls no tools.
    #[schema(value_type = Option<Object>)]
    pub(super) tool_calls: Option<Value>,
    /// Refused: a twin calls no functions.
    #[schema(value_type = Option<Object>)]
    pub(super) function_call: Option<Value>,
    /// Refused: a twin reads text.
    #[schema(value_type = Option<Object>)]
    pub(super) audio: Option<Value>,
    /// Refused unless empty.
    #[schema(value_type = Option<Object>)]
    pub(super) annotations: Option<Value>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChatRole {
    /// Instructions.
    System,
    /// Instructions, by their newer name.
    Developer,
    /// The person who asks.
    User,
    /// The twin.
    Assistant,
}

/// A text, or its parts.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum Content {
    /// The text.
    Text(String),
    /// Its parts.
    Parts(Vec<ContentPart>),
}

/// A part of a message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContentPart {
    /// `text`: a twin reads nothing else.
    #[serde(rename = "type")]
    #[schema(example = "text")]
    pub(super) kind: String,
    /// The text.
    pub(super) text: Option<String>,
    // What parts of other types have: it is their type that is refused.
    #[schema(ignore)]
    pub(super) image_url: Option<Value>,
    #[schema(ignore)]
    pub(super) input_audio: Option<Value>,
    #[schema(ignore)]
    pub(super) file: Option<Value>,
    #[schema(ignore)]
    pub(super) refusal: Option<Value>,
}

/// What ends an answer.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum Stop {
    /// One text.
    One(String),
    /// Up to four.
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(text_or_list(deserializer)?.map_or_else(Self::Parts, Self::Text))
    }
}

impl<'de> Deserialize<'de> for Stop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(text_or_list(deserializer)?.map_or_else(Self::Many, Self::One))
    }
}
