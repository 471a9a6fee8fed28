//! The request of OpenAI's chat completions, as far as a twin can follow it.
//!
//! As with the real API, fields that are not listed here are accepted and have no effect.

use std::fmt;

use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer};
use twin_schemas::{AuthorId, ChatMessage, ResponseFormat, Role, Sampling};
use utoipa::ToSchema;

use crate::Options;
use crate::extract::Checks;
use crate::problem::Problem;

use super::format::{self, Format};

/// What model names start with.
pub const MODEL_PREFIX: &str = "twin/";

/// A chat completion to create (OpenAI's API). Other fields of that API are accepted and have no effect.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ChatRequest {
    /// `twin/<author>`.
    #[schema(example = "twin/ada")]
    pub model: String,
    /// The conversation, oldest first; the last message is the user's question.
    pub messages: Vec<Message>,
    /// 0 (always the likeliest token) to 2.
    temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    top_p: Option<f64>,
    /// Tokens to generate, at most. `max_completion_tokens` goes before it.
    max_tokens: Option<u32>,
    /// Tokens to generate, at most.
    max_completion_tokens: Option<u32>,
    /// Makes sampling repeatable: the same request with the same seed is answered the same way, as far as the model
    /// computes the same and the author's documents are the same.
    seed: Option<i64>,
    /// The form of the content: text, a JSON object, or JSON that a schema allows. A model that can not do it refuses.
    response_format: Option<Format>,
    /// A text, or up to four, that end the answer.
    stop: Option<Stop>,
    /// Answers wanted: a twin gives 1.
    n: Option<u32>,
    /// Answer as server-sent events.
    pub stream: Option<bool>,
    /// Only with `stream`.
    pub stream_options: Option<StreamOptions>,
}

/// How to stream.
#[derive(Debug, Deserialize, ToSchema)]
pub struct StreamOptions {
    /// Send the usage in a last chunk of its own.
    pub include_usage: Option<bool>,
}

/// One message.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Message {
    /// Who speaks. A twin calls no tools, so there are no messages of tools.
    role: ChatRole,
    /// What is said.
    content: Option<Content>,
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
pub struct ContentPart {
    /// `text`: a twin reads nothing else.
    #[serde(rename = "type")]
    #[schema(example = "text")]
    kind: String,
    /// The text.
    text: Option<String>,
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

/// Reads a string or an array. Derived untagged enums lose the path of a wrong element and say no more than "did not
/// match any variant".
struct TextOr<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TextOr<T> {
    type Value = Result<String, Vec<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Ok(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Ok(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items)).map(Err)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = deserializer.deserialize_any(TextOr(std::marker::PhantomData))?;
        Ok(read.map_or_else(Self::Parts, Self::Text))
    }
}

impl<'de> Deserialize<'de> for Stop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = deserializer.deserialize_any(TextOr(std::marker::PhantomData))?;
        Ok(read.map_or_else(Self::Many, Self::One))
    }
}

/// A request that was found good.
#[derive(Debug)]
pub struct Conversation {
    pub author: AuthorId,
    pub messages: Vec<ChatMessage>,
    pub sampling: Sampling,
    pub format: ResponseFormat,
}

impl ChatRequest {
    /// Checks every field that has an effect.
    pub fn check(self, options: &Options) -> Result<Conversation, Problem> {
        let mut checks = Checks::default();
        let author = self.model.strip_prefix(MODEL_PREFIX).and_then(|author| author.parse::<AuthorId>().ok());
        checks.require(author.is_some(), "model", format!("must be {MODEL_PREFIX}<author>; see GET /v1/models"));
        checks.require(self.n.is_none_or(|n| n == 1), "n", "must be 1");
        let in_range = |value: Option<f64>, max: f64| value.is_none_or(|value| (0.0..=max).contains(&value));
        checks.require(in_range(self.temperature, 2.0), "temperature", "must be 0 to 2");
        checks.require(in_range(self.top_p, 1.0), "top_p", "must be 0 to 1");
        checks.require(self.max_tokens != Some(0), "max_tokens", "must be at least 1");
        checks.require(self.max_completion_tokens != Some(0), "max_completion_tokens", "must be at least 1");
        let streams = self.stream == Some(true);
        checks.require(streams || self.stream_options.is_none(), "stream_options", "needs stream to be true");
        let stop = self.stop.map_or_else(Vec::new, |stop| match stop {
            Stop::One(text) => vec![text],
            Stop::Many(texts) => texts,
        });
        checks.require(stop.len() <= 4, "stop", "must be up to four texts");
        checks.require(stop.iter().all(|text| !text.is_empty()), "stop", "must not be empty");
        let format = format::check(self.response_format, &mut checks);
        let messages = check_messages(self.messages, options, &mut checks);
        checks.finish()?;
        let sampling = Sampling {
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            temperature: self.temperature,
            top_p: self.top_p,
            seed: self.seed.map(i64::cast_unsigned),
            stop,
        };
        // `checks` holds a problem with `model` where there is no author.
        let author = author.ok_or_else(|| Problem::field("model", "names no author"))?;
        Ok(Conversation { author, messages, sampling, format })
    }
}

fn check_messages(messages: Vec<Message>, options: &Options, checks: &mut Checks) -> Vec<ChatMessage> {
    let asks = messages.last().is_some_and(|last| last.role == ChatRole::User);
    checks.require(asks, "messages", "must end with a message of the user");
    let last = messages.len().saturating_sub(1);
    let mut checked = Vec::with_capacity(messages.len());
    let mut total_chars = 0;
    for (index, message) in messages.into_iter().enumerate() {
        let field = format!("messages[{index}].content");
        let content = message_text(&field, message.content, checks);
        let chars = content.chars().count() as u64;
        total_chars += chars;
        if index == last {
            checks.require(!content.trim().is_empty(), &*field, "must not be empty");
            let max = options.max_question_chars;
            checks.require(chars <= max, &*field, format!("is longer than {max} characters"));
        }
        let role = match message.role {
            ChatRole::System | ChatRole::Developer => Role::System,
            ChatRole::User => Role::User,
            ChatRole::Assistant => Role::Assistant,
        };
        checked.push(ChatMessage { role, content });
    }
    let max = options.max_conversation_chars;
    checks.require(total_chars <= max, "messages", format!("are longer than {max} characters in all"));
    checked
}

fn message_text(field: &str, content: Option<Content>, checks: &mut Checks) -> String {
    let parts = match content {
        Some(Content::Text(text)) => return text,
        Some(Content::Parts(parts)) => parts,
        None => {
            checks.require(false, field, "must be a string or an array of text parts");
            return String::new();
        }
    };
    let mut text = String::new();
    for (index, part) in parts.into_iter().enumerate() {
        let only_text = format!("is {:?}: a twin reads only parts of type \"text\"", part.kind);
        checks.require(part.kind == "text", format!("{field}[{index}].type"), only_text);
        checks.require(part.kind != "text" || part.text.is_some(), format!("{field}[{index}].text"), "is missing");
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&part.text.unwrap_or_default());
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use twin_schemas::AnswerSchema;

    use super::*;
    use crate::extract::parse_json;

    fn request(changes: Value) -> Value {
        let mut body = json!({"model": "twin/ada", "messages": [{"role": "user", "content": "hi"}]});
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    fn check(changes: Value) -> Result<Conversation, Problem> {
        parse_json::<ChatRequest>(request(changes).to_string().as_bytes())?.check(&Options::default())
    }

    fn wrong_fields(changes: Value) -> Vec<String> {
        let problem = serde_json::to_value(check(changes).unwrap_err()).unwrap();
        let errors = problem["errors"].as_array().unwrap();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_the_official_client_sends_is_accepted() {
        let conversation = check(json!({
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "name": "x",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {"role": "assistant", "content": "c"},
                {"role": "user", "content": "d"},
            ],
            "temperature": 0.0, "top_p": 1, "max_tokens": 5, "max_completion_tokens": 7, "stop": "END", "n": 1,
            "stream": true, "stream_options": {"include_usage": true}, "user": "u", "seed": 1, "tools": null,
            "frequency_penalty": 0.5, "metadata": {"a": "b"},
        }))
        .unwrap();
        assert_eq!(conversation.author.as_str(), "ada");
        assert_eq!(conversation.messages[0].role, Role::System);
        assert_eq!(conversation.messages[1].content, "a\nb");
        assert_eq!(conversation.sampling.max_tokens, Some(7));
        assert_eq!(conversation.sampling.stop, ["END"]);
        assert_eq!((conversation.sampling.seed, conversation.format), (Some(1), ResponseFormat::Text));
    }

    #[test]
    fn a_form_is_handed_on_as_it_is_asked_for() {
        let format = |format: Value| check(json!({ "response_format": format })).map(|asked| asked.format);
        assert_eq!(format(Value::Null).unwrap(), ResponseFormat::Text);
        assert_eq!(format(json!({"type": "text"})).unwrap(), ResponseFormat::Text);
        assert_eq!(format(json!({"type": "json_object"})).unwrap(), ResponseFormat::JsonObject);
        let schema = json!({"type": "object", "properties": {"title": {"type": "string"}}});
        let mut asked = json!({"type": "json_schema", "json_schema": {"name": "summary", "schema": schema}});
        let wanted = |strict| ResponseFormat::JsonSchema {
            json_schema: AnswerSchema { name: "summary".to_owned(), schema: schema.clone(), strict },
        };
        assert_eq!(format(asked.clone()).unwrap(), wanted(false));
        asked["json_schema"]["strict"] = json!(true);
        asked["json_schema"]["description"] = json!("What it says, in short.");
        assert_eq!(format(asked).unwrap(), wanted(true));
    }

    #[test]
    fn what_is_wrong_with_a_form_is_named() {
        let schema = |schema: Value| json!({"type": "json_schema", "json_schema": schema});
        let long = json!({"type": "object", "description": "x".repeat(16_000)});
        for (format, field) in [
            (json!("json"), "response_format"),
            (json!({}), "response_format.type"),
            (json!({"type": "xml"}), "response_format.type"),
            (json!({"type": "json_schema"}), "response_format.json_schema"),
            (schema(json!({"schema": {}})), "response_format.json_schema.name"),
            (schema(json!({"name": "a b", "schema": {}})), "response_format.json_schema.name"),
            (schema(json!({"name": "a"})), "response_format.json_schema.schema"),
            (schema(json!({"name": "a", "schema": []})), "response_format.json_schema.schema"),
            (schema(json!({"name": "a", "schema": long})), "response_format.json_schema.schema"),
            (schema(json!({"name": "a", "schema": {}, "strict": 1})), "response_format.json_schema.strict"),
        ] {
            assert_eq!(wrong_fields(json!({ "response_format": format })), [field], "{format}");
        }
        assert_eq!(wrong_fields(json!({"seed": "one"})), ["seed"]);
    }

    #[test]
    fn each_value_out_of_range_is_named() {
        let wrong = wrong_fields(json!({
            "model": "gpt-4o", "temperature": 2.5, "top_p": -0.1, "n": 2, "max_tokens": 0, "max_completion_tokens": 0,
            "stop": ["a", "b", "c", "d", "e"], "stream_options": {},
        }));
        let expected =
            ["model", "n", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stream_options", "stop"];
        assert_eq!(wrong, expected);
    }

    #[test]
    fn each_wrong_type_is_named_by_its_path() {
        for (changes, field) in [
            (json!({"model": 5}), "model"),
            (json!({"messages": "hi"}), "messages"),
            (json!({"messages": [{"role": "user", "content": 5}]}), "messages[0].content"),
            (json!({"messages": [{"role": "tool", "content": "x"}]}), "messages[0].role"),
            (json!({"messages": [{"content": "x"}]}), "messages[0].role"),
            (json!({"messages": [{"role": "user", "content": [{"type": 5}]}]}), "messages[0].content[0].type"),
            (json!({"temperature": "hot"}), "temperature"),
            (json!({"top_p": []}), "top_p"),
            (json!({"max_tokens": -1}), "max_tokens"),
            (json!({"max_completion_tokens": 1.5}), "max_completion_tokens"),
            (json!({"stop": 5}), "stop"),
            (json!({"stop": ["a", 5]}), "stop[1]"),
            (json!({"n": "one"}), "n"),
            (json!({"stream": "yes"}), "stream"),
            (json!({"stream": true, "stream_options": {"include_usage": 1}}), "stream_options.include_usage"),
        ] {
            assert_eq!(wrong_fields(changes.clone()), [field], "{changes}");
        }
    }

    #[test]
    fn content_that_is_no_text_is_named() {
        let image =
            json!([{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": "x"}}]);
        assert_eq!(
            wrong_fields(json!({"messages": [{"role": "user", "content": image}]})),
            ["messages[0].content[1].type"]
        );
        let empty = json!([{"role": "user", "content": " "}]);
        assert_eq!(wrong_fields(json!({ "messages": empty })), ["messages[0].content"]);
        assert_eq!(wrong_fields(json!({ "messages": [] })), ["messages"]);
        let answered = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]);
        assert_eq!(wrong_fields(json!({ "messages": answered })), ["messages"]);
        let long = json!([{"role": "user", "content": "x".repeat(8001)}]);
        assert_eq!(wrong_fields(json!({ "messages": long })), ["messages[0].content"]);
    }
}
