use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// How documents are cut into chunks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The tokenizer that chunks are measured with: a Hugging Face `tokenizer.json`. Empty: the embedding model's, in
    /// `embedder.model_dir`. With another one, chunks may not fit the model's window.
    pub tokenizer: PathBuf,
    /// The most tokens of a chunk, without special tokens. At most the embedder's window less 2.
    pub max_tokens: usize,
    /// The share of `max_tokens` that a chunk cut out of a longer section has at least; above it the best place to
    /// cut is taken. 0.1 to 0.9.
    pub min_share: f64,
    /// A section under a heading, or an item of code, with fewer tokens than this is merged with its neighbour
    /// where the two fit. At most half of `max_tokens`.
    pub merge_below_tokens: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { tokenizer: PathBuf::new(), max_tokens: 254, min_share: 0.5, merge_below_tokens: 64 }
    }
}

impl Options {
    /// Checks that the values can work together.
    pub fn validate(&self) -> Result<(), Error> {
        let refused = |key, problem: String| Err(Error::Option { key, problem });
        if self.max_tokens < 16 {
            return refused("max_tokens", format!("is {}, must be at least 16", self.max_tokens));
        }
        if !(0.1..=0.9).contains(&self.min_share) {
            return refused("min_share", format!("is {}, must be from 0.1 to 0.9", self.min_share));
        }
        if self.merge_below_tokens > self.max_tokens / 2 {
            let problem = format!("is {}, must be at most half of max_tokens", self.merge_below_tokens);
            return refused("merge_below_tokens", problem);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_a_bad_value_is_named() {
        Options::default().validate().unwrap();
        for (options, key) in [
            (Options { max_tokens: 3, ..Options::default() }, "max_tokens"),
            (Options { min_share: f64::NAN, ..Options::default() }, "min_share"),
            (Options { merge_below_tokens: 200, ..Options::default() }, "merge_below_tokens"),
        ] {
            assert!(options.validate().unwrap_err().to_string().contains(key));
        }
        assert!(serde_json::from_str::<Options>(r#"{"max_token": 1}"#).is_err());
    }
}
