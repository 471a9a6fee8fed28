//! The tokenizer: vocabulary and merges from the GGUF header, the `smollm` splitting rules from here.
//!
//! GGUF names the splitting rules (`tokenizer.ggml.pre`) but does not contain them. For `smollm` they are:
//! each digit alone, then GPT-2's byte-level regular expression.

use candle_core::quantized::gguf_file::{Content, Value};
use serde::Serialize;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, Tokenizer};

use super::ConvertError;
use super::fields::{Fields, invalid};

pub(super) const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const MERGES: &str = "tokenizer.ggml.merges";
/// `LLAMA_TOKEN_TYPE_CONTROL`: a token that is never made from text.
const CONTROL: i32 = 3;
/// The grammar engine ends with this token, while the chat template ends with the end token:
/// generation must stop at both, or JSON answers run on to the length limit.
const END_OF_TEXT: &str = "<|endoftext|>";

/// What the GGUF header says about tokens. Token ids are indices into `tokens`.
pub(super) struct Vocabulary<'a> {
    pub(super) tokens: Vec<&'a str>,
    pub(super) beginning: usize,
    pub(super) end: usize,
    pub(super) padding: usize,
    unknown: Option<usize>,
    control: Vec<usize>,
    merges: Vec<(String, String)>,
    chat_template: &'a str,
}

impl<'a> Vocabulary<'a> {
    pub(super) fn read(content: &'a Content) -> Result<Self, ConvertError> {
        let fields = Fields(&content.metadata);
        let model = fields.text("tokenizer.ggml.model")?;
        let splitting = match fields.has("tokenizer.ggml.pre") {
            true => fields.text("tokenizer.ggml.pre")?,
            false => "none",
        };
        if (model, splitting) != ("gpt2", "smollm") {
            return Err(ConvertError::TokenizerKind { found: format!("{model}, {splitting}") });
        }
        let tokens: Vec<&str> = fields.list(TOKENS, |value| value.to_string().map(String::as_str))?;
        let types: Vec<i32> = fields.list(TYPES, Value::to_i32)?;
        if types.len() != tokens.len() {
            return Err(invalid(TYPES, format!("of length {} for {} tokens", types.len(), tokens.len())));
        }
        let merges: Vec<&str> = fields.list(MERGES, |value| value.to_string().map(String::as_str))?;
        let token_id = |key: &str| match fields.size(key)? {
            id if id < tokens.len() => Ok(id),
            id => Err(invalid(key, format!("{id}, beyond the vocabulary"))),
        };
        let optional_id = |key: &str| fields.has(key).then(|| token_id(key)).transpose();
        let end = token_id("tokenizer.ggml.eos_token_id")?;
        Ok(Self {
            beginning: token_id("tokenizer.ggml.bos_token_id")?,
            end,
            padding: optional_id("tokenizer.ggml.padding_token_id")?.unwrap_or(end),
            unknown: optional_id("tokenizer.ggml.unknown_token_id")?,
            control: (0..tokens.len()).filter(|&id| types[id] == CONTROL).collect(),
            merges: merges.into_iter().map(merge_pair).collect::<Result<_, _>>()?,
            chat_template: fields.text("tokenizer.chat_template")?,
            tokens,
        })
    }

    /// The tokenizer itself.
    pub(super) fn build(&self) -> Result<Tokenizer, ConvertError> {
        let vocabulary: Vocab = self.tokens.iter().zip(0..).map(|(token, id)| ((*token).to_owned(), id)).collect();
        let model = BPE::builder()
            .vocab_and_merges(vocabulary, self.merges.clone())
            .build()
            .map_err(ConvertError::Tokenizer)?;
        let mut tokenizer = Tokenizer::new(model);
        let bytes = ByteLevel::new(false, true, true);
        tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![Digits::new(true).into(), bytes.into()])));
        tokenizer.with_decoder(Some(bytes));
        let special = self.control.iter().map(|&id| AddedToken::from(self.tokens[id], true));
        tokenizer.add_special_tokens(special).map_err(ConvertError::Tokenizer)?;
        Ok(tokenizer)
    }

    /// The content of `tokenizer_config.json`.
    pub(super) fn tokenizer_config(&self, context_length: usize) -> impl Serialize + '_ {
        TokenizerConfig {
            bos_token: self.tokens[self.beginning],
            eos_token: self.tokens[self.end],
            unk_token: self.unknown.map(|id| self.tokens[id]),
            pad_token: self.tokens[self.padding],
            add_prefix_space: false,
            clean_up_tokenization_spaces: false,
            model_max_length: context_length,
            tokenizer_class: "GPT2Tokenizer",
            chat_template: self.chat_template,
        }
    }

    /// The content of `generation_config.json`.
    pub(super) fn generation_config(&self) -> impl Serialize + use<> {
        let end_of_text = self.tokens.iter().position(|token| *token == END_OF_TEXT);
        let others = end_of_text.into_iter().filter(|&id| id != self.end);
        GenerationConfig {
            bos_token_id: self.beginning,
            eos_token_id: std::iter::once(self.end).chain(others).collect(),
            pad_token_id: self.padding,
        }
    }
}

/// `"Ġ t"` is the pair (`Ġ`, `t`). A byte-level token holds no space, so the first one separates.
fn merge_pair(merge: &str) -> Result<(String, String), ConvertError> {
    let (left, right) =
        merge.split_once(' ').ok_or_else(|| invalid(MERGES, format!("wrong: {merge:?} is not a pair")))?;
    Ok((left.to_owned(), right.to_owned()))
}

#[derive(Serialize)]
struct TokenizerConfig<'a> {
    bos_token: &'a str,
    eos_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unk_token: Option<&'a str>,
    pad_token: &'a str,
    add_prefix_space: bool,
    clean_up_tokenization_spaces: bool,
    model_max_length: usize,
    tokenizer_class: &'static str,
    chat_template: &'a str,
}

#[derive(Serialize)]
struct GenerationConfig {
    bos_token_id: usize,
    eos_token_id: Vec<usize>,
    pad_token_id: usize,
}
