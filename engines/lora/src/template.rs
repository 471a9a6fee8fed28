//! From conversations to tokens, as production has them.
//!
//! A conversation becomes text by the model's own chat template ([`ChatTemplate`], which renders what a model is asked with,
//! too), and the whole text, prompt and answer, becomes tokens at once. For the families that training is for these are the
//! tokens that transformers gives (`tests/golden.rs`).

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use tokenizers::Tokenizer;
use twin_llm::ChatTemplate;
use twin_schemas::ChatMessage;

use super::error::Error;
use super::pack::Sequence;

/// A model's tokenizer and chat template.
pub struct ChatFormat {
    tokenizer: Tokenizer,
    template: ChatTemplate,
    /// Tokens that end an answer.
    ends: BTreeSet<u32>,
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
        let template = ChatTemplate::read(model)?;
        let mut ends = configured_ends(model)?;
        ends.extend(template.end().and_then(|end| tokenizer.token_to_id(end)));
        if ends.is_empty() {
            return Err(Error::Template("the model names no token that ends an answer".to_owned()));
        }
        Ok(Self { tokenizer, template, ends })
    }

    /// The text of a conversation; with `answer_follows` it ends where the assistant begins to write.
    ///
    /// # Errors
    /// The template's.
    pub fn render(&self, messages: &[ChatMessage], answer_follows: bool) -> Result<String, Error> {
        Ok(self.template.render(messages, answer_follows)?)
    }

    /// The tokens of a prompt and its completion, up to the token that ends the completion.
    ///
    /// Both are tokenised as one text: what a tokenizer puts before a text (SentencePiece's a space) it does not put between
    /// them. Where one token would be of both, they are tokenised one by one: in production the prompt is there before any
    /// answer is, and has its own tokens whatever follows. The text begins with one token that begins a text: the template's
    /// or, where that has none, the tokenizer's.
    ///
    /// # Errors
    /// The template's and the tokenizer's, and a template that renders the prompt otherwise once it is answered.
    pub fn sequence(&self, prompt: &[ChatMessage], completion: &str) -> Result<Sequence, Error> {
        let (asked, answer) = self.template.answered(prompt, completion)?;
        let begins = !self.template.has_beginning(&asked);
        let mut tokens = self.encoded(&asked, begins)?;
        let start = tokens.len();
        if start == 0 {
            return Err(Error::Template("the prompt is empty, so that nothing predicts the first token".to_owned()));
        }
        let mut whole = self.encoded(&(asked + &answer), begins)?;
        let answer = match whole.starts_with(&tokens) {
            true => whole.split_off(start),
            false => self.encoded(&answer, false)?,
        };
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

    /// The tokens of a text, after what the tokenizer puts before one if the text `begins` with nothing of its own.
    fn encoded(&self, text: &str, begins: bool) -> Result<Vec<u32>, Error> {
        let encoding = self.tokenizer.encode_fast(text, begins).map_err(|error| Error::Tokenizer(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
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
