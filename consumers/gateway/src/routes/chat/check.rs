//! Whether a chat completion can be created as it is asked for.

use twin_schemas::{AuthorId, ChatMessage, ResponseFormat, Role, Sampling};

use crate::Options;
use crate::extract::Checks;
use crate::problem::Problem;

use super::request::{ChatRequest, ChatRole, Content, MODEL_PREFIX, Message, Stop};
use super::{format, unsupported};

/// A request that was found good.
#[derive(Debug)]
pub struct Conversation {
    pub author: AuthorId,
    pub messages: Vec<ChatMessage>,
    pub sampling: Sampling,
    pub format: ResponseFormat,
}

impl ChatRequest {
    /// Checks every field.
    pub fn check(self, options: &Options) -> Result<Conversation, Problem> {
        let mut checks = Checks::default();
        let author = self.model.strip_prefix(MODEL_PREFIX).and_then(|author| author.parse::<AuthorId>().ok());
        checks.require(author.is_some(), "model", format!("must be {MODEL_PREFIX}<author>; see GET /v1/models"));
        checks.require(self.n.is_none_or(|n| n == 1), "n", "must be 1: a twin gives one answer");
        let in_range = |value: Option<f64>, min: f64, max: f64| value.is_none_or(|value| (min..=max).contains(&value));
        checks.require(in_range(self.temperature, 0.0, 2.0), "temperature", "must be 0 to 2");
        checks.require(in_range(self.top_p, 0.0, 1.0), "top_p", "must be 0 to 1");
        checks.require(self.max_tokens != Some(0), "max_tokens", "must be at least 1");
        checks.require(self.max_completion_tokens != Some(0), "max_completion_tokens", "must be at least 1");
        checks.require(in_range(self.frequency_penalty, -2.0, 2.0), "frequency_penalty", "must be -2 to 2");
        checks.require(in_range(self.presence_penalty, -2.0, 2.0), "presence_penalty", "must be -2 to 2");
        let streams = self.stream == Some(true);
        checks.require(streams || self.stream_options.is_none(), "stream_options", "needs stream to be true");
        unsupported::check(&self, &mut checks);
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
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
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
        unsupported::check_message(&format!("messages[{index}]"), &message, checks);
        let field = format!("messages[{index}].content");
        let role = message.role;
        let content = message_text(&field, message, checks);
        let chars = content.chars().count() as u64;
        total_chars += chars;
        if index == last {
            checks.require(!content.trim().is_empty(), &*field, "must not be empty");
            let max = options.max_question_chars;
            checks.require(chars <= max, &*field, format!("is longer than {max} characters"));
        }
        let role = match role {
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

/// What a message says; of an assistant that did not answer, why.
fn message_text(field: &str, message: Message, checks: &mut Checks) -> String {
    let Message { role, content, refusal, .. } = message;
    let parts = match (content, refusal) {
        (Some(Content::Text(text)), _) => return text,
        (Some(Content::Parts(parts)), _) => parts,
        (None, Some(refusal)) if role == ChatRole::Assistant => return refusal,
        (None, _) => {
            checks.require(false, field, "must be a string or an array of text parts");
            return String::new();
        }
    };
    let mut text = String::new();
    for (index, part) in parts.into_iter().enumerate() {
        let part_field = format!("{field}[{index}]");
        unsupported::check_part(&part_field, &part, checks);
        checks.require(part.kind != "text" || part.text.is_some(), format!("{part_field}.text"), "is missing");
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&part.text.unwrap_or_default());
    }
    text
}
