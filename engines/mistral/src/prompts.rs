//! What a model reads for a conversation: the tokens that it would be trained on for it.
//!
//! mistral.rs renders conversations, too, but it tells templates another day each day, has models think where they can, puts
//! a second token before a text that has one, and fails where a template knows no system. So the text is made by
//! [`ChatTemplate`], as in training, and mistral.rs is given tokens.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use candle_core::quantized::gguf_file::Content;
use mistralrs::{Model, RequestMessage, TextMessageRole, TextMessages};
use twin_llm::{ChatTemplate, Error, SpecialTokens, Thoughts};
use twin_schemas::{ChatMessage, Role};

/// A conversation as a model reads it.
pub(crate) struct Prompt {
    /// What mistral.rs is given.
    pub messages: RequestMessage,
    /// Its tokens.
    pub tokens: usize,
    /// What the model thinks before it answers is left out.
    pub thoughts: Thoughts,
}

/// The chat template of a model: a folder, or a GGUF file.
pub(crate) fn template(model: &Path) -> Result<ChatTemplate, String> {
    if model.is_dir() {
        return ChatTemplate::read(model).map_err(|error| error.to_string());
    }
    let file = File::open(model).map_err(|error| error.to_string())?;
    let content = Content::read(&mut BufReader::new(file)).map_err(|error| error.to_string())?;
    let field = |key: &str| content.metadata.get(key);
    let missing = "the file has no chat template: choose an instruction-tuned model";
    let source = field("tokenizer.chat_template").and_then(|template| template.to_string().ok()).ok_or(missing)?;
    let texts =
        field("tokenizer.ggml.tokens").and_then(|texts| texts.to_vec().ok()).map(Vec::as_slice).unwrap_or_default();
    let token = |name: &str| {
        let id = field(&format!("tokenizer.ggml.{name}_token_id"))?.to_u64().ok()?;
        texts.get(usize::try_from(id).ok()?)?.to_string().ok().cloned()
    };
    let tokens = SpecialTokens { beginning: token("bos"), end: token("eos"), unknown: token("unknown") };
    Ok(ChatTemplate::new(source, tokens))
}

/// Makes the prompt of a conversation.
pub(crate) async fn prompt(model: &Model, template: &ChatTemplate, messages: &[ChatMessage]) -> Result<Prompt, Error> {
    let failed = |error: mistralrs::error::Error| Error::Generation(error.to_string());
    if template.has_channels() {
        // mistral.rs knows these by their templates, and tells the answer from the other channels.
        let messages = in_its_own_words(messages);
        // `Err` is the left side of an `Either`.
        let counted = model.tokenize(Err::<String, _>(messages.clone()).into(), None, true, true, Some(false)).await;
        let messages =
            RequestMessage::Chat { messages: messages.into(), enable_thinking: Some(false), reasoning_effort: None };
        return Ok(Prompt { messages, tokens: counted.map_err(failed)?.len(), thoughts: Thoughts::none() });
    }
    let text = template.render(messages, true).map_err(|error| Error::Refused(error.to_string()))?;
    let thoughts = if template.thinks() { Thoughts::after(&text) } else { Thoughts::none() };
    // A text that has the token that begins one is not given it once more by the tokenizer.
    let begins = !template.has_beginning(&text);
    let tokens = model.tokenize(Ok::<_, TextMessages>(text).into(), None, begins, true, None).await.map_err(failed)?;
    Ok(Prompt { tokens: tokens.len(), messages: RequestMessage::CompletionTokens(tokens), thoughts })
}

fn in_its_own_words(messages: &[ChatMessage]) -> TextMessages {
    let role = |role: Role| match role {
        Role::System => TextMessageRole::System,
        Role::User => TextMessageRole::User,
        Role::Assistant => TextMessageRole::Assistant,
    };
    let add = |all: TextMessages, message: &ChatMessage| all.add_message(role(message.role), &message.content);
    messages.iter().fold(TextMessages::new(), add)
}
