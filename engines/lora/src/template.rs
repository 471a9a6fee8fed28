//! From conversations to tokens, by the model's own chat template.
//!
//! The template is rendered as mistral.rs does it for the same model in production: a model that was trained on other
//! tokens than it is asked with forgets what it learned.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use minijinja::{Environment, ErrorKind, Value, context};
use serde::Deserialize;
use tokenizers::Tokenizer;
use twin_schemas::{ChatMessage, Role};

use super::error::Error;
use super::pack::Sequence;

/// A model's tokenizer and chat template.
pub struct ChatFormat {
    tokenizer: Tokenizer,
    template: String,
    bos: Option<String>,
    eos: Option<String>,
    unk: Option<String>,
    /// Tokens that end an answer.
    ends: BTreeSet<u32>,
}

#[derive(Deserialize)]
struct TokenizerConfig {
    chat_template: Option<Templates>,
    bos_token: Option<SpecialToken>,
    eos_token: Option<SpecialToken>,
    unk_token: Option<SpecialToken>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Named(Vec<BTreeMap<String, String>>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SpecialToken {
    Text(String),
    Token { content: String },
}

#[derive(Deserialize, Default)]
struct EndTokens {
    eos_token_id: Option<Ids>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u32),
    Many(Vec<u32>),
}

impl ChatFormat {
    /// Reads `tokenizer.json`, `tokenizer_config.json` and, where there are, `chat_template.jinja` and
    /// `generation_config.json`.
    ///
    /// # Errors
    /// A file that is missing or malformed, a model without a chat template or without an end token.
    pub fn read(model: &Path) -> Result<Self, Error> {
        let path = model.join("tokenizer.json");
        let tokenizer = Tokenizer::from_file(&path).map_err(|error| Error::malformed(&path, error))?;
        let path = model.join("tokenizer_config.json");
        let bytes = std::fs::read(&path).map_err(Error::at(&path))?;
        let config: TokenizerConfig = serde_json::from_slice(&bytes).map_err(|error| Error::malformed(&path, error))?;
        let template = match std::fs::read_to_string(model.join("chat_template.jinja")) {
            Ok(template) => template,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => default_template(config.chat_template)?,
            Err(error) => return Err(Error::at(&model.join("chat_template.jinja"))(error)),
        };
        let text = |token: Option<SpecialToken>| match token? {
            SpecialToken::Text(content) | SpecialToken::Token { content } => Some(content),
        };
        let (bos, eos, unk) = (text(config.bos_token), text(config.eos_token), text(config.unk_token));
        let mut ends = configured_ends(model)?;
        ends.extend(eos.as_deref().and_then(|eos| tokenizer.token_to_id(eos)));
        if ends.is_empty() {
            return Err(Error::Template("the model names no token that ends an answer".to_owned()));
        }
        // What Python's templates may say and minijinja's may not, as in mistral.rs.
        let template = template.replace("[::-1]", "|reverse");
        let template = template.replace("{% generation %}", "").replace("{% endgeneration %}", "");
        Ok(Self { tokenizer, template, bos, eos, unk, ends })
    }

    /// The text of a conversation; with `answer_follows` it ends where the assistant begins to write.
    ///
    /// No date is given to the template, so that the same conversation is the same text on any day.
    ///
    /// # Errors
    /// The template's.
    pub fn render(&self, messages: &[ChatMessage], answer_follows: bool) -> Result<String, Error> {
        let mut environment = Environment::new();
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_lstrip_blocks(true);
        environment.set_trim_blocks(true);
        environment.add_function("raise_exception", |problem: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, problem))
        });
        environment.add_filter("tojson", |value: Value| {
            serde_json::to_string(&value)
                .map_err(|error| minijinja::Error::new(ErrorKind::BadSerialization, error.to_string()))
        });
        let rendered = environment.template_from_str(&self.template).and_then(|template| {
            template.render(context! {
                messages => messages,
                add_generation_prompt => answer_follows,
                bos_token => self.bos,
                eos_token => self.eos,
                unk_token => self.unk,
                enable_thinking => true,
            })
        });
        rendered.map_err(|error| Error::Template(error.to_string()))
    }

    /// The tokens of a prompt and its completion, up to the token that ends the completion.
    ///
    /// The two are tokenised one by one, as they are in production, where the completion is generated token by token.
    /// What the tokenizer puts before a text (Llama 3's does, though its template does as well) is before the prompt,
    /// as mistral.rs has it.
    ///
    /// # Errors
    /// The template's and the tokenizer's, and a template that renders the prompt otherwise once it is answered.
    pub fn sequence(&self, prompt: &[ChatMessage], completion: &str) -> Result<Sequence, Error> {
        let asked = self.render(prompt, true)?;
        let mut messages = prompt.to_vec();
        messages.push(ChatMessage { role: Role::Assistant, content: completion.to_owned() });
        let answered = self.render(&messages, false)?;
        let Some(answer) = answered.strip_prefix(&asked) else {
            let problem = "a conversation does not begin with its prompt, so that the answer can not be told from it";
            return Err(Error::Template(problem.to_owned()));
        };
        let mut tokens = self.encoded(&asked, true)?;
        let start = tokens.len();
        if start == 0 {
            return Err(Error::Template("the prompt is empty, so that nothing predicts the first token".to_owned()));
        }
        let answer = self.encoded(answer, false)?;
        match answer.iter().position(|token| self.ends.contains(token)) {
            Some(end) => tokens.extend(&answer[..=end]),
            // The template leaves the end to the caller.
            None => {
                tokens.extend(answer);
                tokens.extend(self.ends.first());
            }
        }
        Ok(Sequence { tokens, completion: start })
    }

    /// The tokens of a text as it is.
    ///
    /// # Errors
    /// The tokenizer's.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.encoded(text, false)
    }

    fn encoded(&self, text: &str, begins: bool) -> Result<Vec<u32>, Error> {
        let encoding = self.tokenizer.encode_fast(text, begins).map_err(|error| Error::Tokenizer(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }
}

fn default_template(templates: Option<Templates>) -> Result<String, Error> {
    let missing = || Error::Template("the model has none: choose an instruction-tuned one".to_owned());
    match templates.ok_or_else(missing)? {
        Templates::One(template) => Ok(template),
        Templates::Named(named) => {
            let default = named.into_iter().find(|entry| entry.get("name").is_some_and(|name| name == "default"));
            default.and_then(|mut entry| entry.remove("template")).ok_or_else(missing)
        }
    }
}

/// The end tokens of `generation_config.json`, or of `config.json` where there is none.
fn configured_ends(model: &Path) -> Result<BTreeSet<u32>, Error> {
    let named = ["generation_config.json", "config.json"].map(|name| model.join(name));
    let Some(path) = named.into_iter().find(|path| path.exists()) else { return Ok(BTreeSet::new()) };
    let bytes = std::fs::read(&path).map_err(Error::at(&path))?;
    let tokens: EndTokens = serde_json::from_slice(&bytes).map_err(|error| Error::malformed(&path, error))?;
    Ok(match tokens.eos_token_id {
        None => BTreeSet::new(),
        Some(Ids::One(id)) => BTreeSet::from([id]),
        Some(Ids::Many(ids)) => ids.into_iter().collect(),
    })
}
