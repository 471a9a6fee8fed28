//! Fields of a chat completion that ask for what a twin does not do. Each is refused by its name, with what to do; a value
//! that asks for nothing (`null`, `false`, `[]`, `{}`, `"none"`) is fine.

use serde_json::Value;

use crate::extract::Checks;

use super::request::{ChatRequest, ContentPart, Message, StreamOptions};

const NO_TOOLS: &str = "a twin calls no tools: leave it out";
const NO_FUNCTIONS: &str = "a twin calls no functions: leave it out";
const NO_PROBABILITIES: &str = "a twin tells no probabilities of tokens: leave it out";

/// Notes each field that asks for what is not done.
pub fn check(request: &ChatRequest, checks: &mut Checks) {
    let mut refuse = |field: &str, is_asked: bool, why: &str| checks.require(!is_asked, field, why);
    let is_asked = |value: &Option<Value>| value.as_ref().is_some_and(asks);
    refuse("tools", is_asked(&request.tools), NO_TOOLS);
    refuse("tool_choice", is_asked(&request.tool_choice), NO_TOOLS);
    refuse("parallel_tool_calls", request.parallel_tool_calls == Some(true), NO_TOOLS);
    refuse("functions", is_asked(&request.functions), NO_FUNCTIONS);
    refuse("function_call", is_asked(&request.function_call), NO_FUNCTIONS);
    refuse("logprobs", request.logprobs == Some(true), NO_PROBABILITIES);
    refuse("top_logprobs", request.top_logprobs.is_some(), NO_PROBABILITIES);
    let why = "tokens are those of the twin's model, which changes: leave it out";
    refuse("logit_bias", is_asked(&request.logit_bias), why);
    refuse("audio", is_asked(&request.audio), "a twin answers in text: leave it out");
    let is_more_than_text = request.modalities.as_ref().is_some_and(|all| all.iter().any(|one| one != "text"));
    refuse("modalities", is_more_than_text, "must be [\"text\"]: a twin answers in text");
    refuse("prediction", is_asked(&request.prediction), "a twin does not edit a text that is known: leave it out");
    let why = "how the twin's model works is for who runs it to say (`llm` in its configuration): leave it out";
    refuse("reasoning_effort", request.reasoning_effort.as_deref().is_some_and(|effort| effort != "none"), why);
    refuse("verbosity", request.verbosity.is_some(), "leave it out; max_completion_tokens bounds an answer");
    let why = "a twin answers from what its author has published: leave it out";
    refuse("web_search_options", request.web_search_options.is_some(), why);
    refuse("store", request.store == Some(true), "completions are not kept: it must be false");
    if let Some(StreamOptions { include_obfuscation: Some(true), .. }) = request.stream_options {
        refuse("stream_options.include_obfuscation", true, "chunks are not padded: it must be false");
    }
}

/// The same of a message.
pub fn check_message(field: &str, message: &Message, checks: &mut Checks) {
    for (name, value, why) in [
        ("tool_calls", &message.tool_calls, NO_TOOLS),
        ("function_call", &message.function_call, NO_FUNCTIONS),
        ("audio", &message.audio, "a twin reads text: leave it out"),
        ("annotations", &message.annotations, "a twin does not read them: leave it out"),
    ] {
        checks.require(!value.as_ref().is_some_and(asks), format!("{field}.{name}"), why);
    }
}

/// The same of a part of a message.
pub fn check_part(field: &str, part: &ContentPart, checks: &mut Checks) {
    let only_text = format!("is {:?}: a twin reads only parts of type \"text\"", part.kind);
    checks.require(part.kind == "text", format!("{field}.type"), only_text);
    if part.kind != "text" {
        return;
    }
    for (name, value) in [
        ("image_url", &part.image_url),
        ("input_audio", &part.input_audio),
        ("file", &part.file),
        ("refusal", &part.refusal),
    ] {
        checks.require(value.is_none(), format!("{field}.{name}"), "is no field of a part of type \"text\"");
    }
}

/// Whether a value asks for something.
fn asks(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::String(text) => text != "none",
        Value::Bool(true) | Value::Number(_) => true,
    }
}
