use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_llm::PromptOptions;
use twin_registry::SplitRule;

use crate::Error;

/// What goes into a dataset. All of it is part of a version's identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Decides the split of documents, the wording of instructions and the choice of distractors. Another seed is
    /// another test split: results on the two can not be compared.
    pub seed: u64,
    /// Share of an author's documents whose samples are trained on.
    pub train_share: f64,
    /// Share of the documents whose samples tell when to stop training. The rest is the test split.
    pub validation_share: f64,
    /// Characters of an article's passage, at least.
    pub min_chars: usize,
    /// Characters of a post's passage, at least.
    pub min_post_chars: usize,
    /// Characters of an item of code, at least.
    pub min_code_chars: usize,
    /// Characters of any passage, at most. A longer sentence or item is left out, never cut.
    pub max_chars: usize,
    /// Characters of a section or a text that is taken whole, at most: about 2,000 tokens of English, 2,700 of German.
    pub max_long_chars: usize,
    /// Share of the texts of several sections that are taken whole, headings and all, and of the sections and posts of the
    /// others, each as far as `max_long_chars` allows. What is left is cut into passages of up to `max_chars`.
    pub long_share: f64,
    /// Passages of one document, at most, so that one long document does not outweigh all others.
    pub max_passages_per_document: usize,
    /// Share of prose among the passages, at least, where the author has written prose: code beyond it is left out. An
    /// author with little prose keeps 200 passages of both.
    pub prose_share: f64,
    /// ISO 639-3 codes of the languages that prose may be in; none: any.
    pub languages: Vec<String>,
    /// Jaccard similarity of two passages' 5-word shingles from which on they are near duplicates. 0.5 to 1.
    pub near_duplicate: f64,
    /// Share of 8-word sequences, of the shorter of two passages, that a training passage may have in common with a
    /// held-out one. 0 to 1.
    pub max_overlap: f64,
    /// Share of prose passages that also become a question with numbered passages, answered by what one or two of them
    /// say.
    pub grounded_share: f64,
    /// Share of prose passages that also become a question whose passages come near the answer and do not hold it. From
    /// 200 passages on the test split has at least 10 of them, as far as its documents have questions that can be put.
    pub refusal_share: f64,
    /// Preferences, at most: as many answers are asked of the author's version that serves, or, where none does, of the
    /// model that `llm` names. Those that are cut off are not used. 0: none.
    pub preferences: u32,
    /// Instructions written by the model that `llm` names instead of from the text's structure, at most. 0: none.
    pub model_instructions: u32,
    /// Training samples that a version has at least; with fewer it is not frozen.
    pub min_samples: u64,
    /// The form of the prompts that questions are put in: the same as in serving.
    pub prompt: PromptOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            train_share: 0.8,
            validation_share: 0.1,
            min_chars: 200,
            min_post_chars: 60,
            min_code_chars: 80,
            max_chars: 1_600,
            max_long_chars: 8_000,
            long_share: 0.25,
            prose_share: 0.8,
            max_passages_per_document: 64,
            languages: Vec::new(),
            near_duplicate: 0.8,
            max_overlap: 0.1,
            grounded_share: 0.5,
            refusal_share: 0.15,
            preferences: 0,
            model_instructions: 0,
            min_samples: 10,
            prompt: PromptOptions::default(),
        }
    }
}

impl Options {
    /// How documents are divided. Where it is as it was, a document stays in its split.
    pub fn split_rule(&self) -> SplitRule {
        let Self { seed, train_share, validation_share, .. } = *self;
        SplitRule { seed, train_share, validation_share }
    }

    /// Checks that the values can work together.
    pub fn validate(&self) -> Result<(), Error> {
        let shares = [
            ("train_share", self.train_share, 0.0..=1.0),
            ("validation_share", self.validation_share, 0.0..=1.0),
            ("near_duplicate", self.near_duplicate, 0.5..=1.0),
            ("max_overlap", self.max_overlap, 0.0..=1.0),
            ("grounded_share", self.grounded_share, 0.0..=1.0),
            ("refusal_share", self.refusal_share, 0.0..=1.0),
            ("long_share", self.long_share, 0.0..=1.0),
            ("prose_share", self.prose_share, 0.0..=1.0),
        ];
        for (key, value, range) in shares {
            if !range.contains(&value) {
                let problem = format!("is {value}, must be from {} to {}", range.start(), range.end());
                return Err(Error::Option { key, problem });
            }
        }
        if self.train_share + self.validation_share > 1.0 {
            let problem = "and train_share are more than 1 together".to_owned();
            return Err(Error::Option { key: "validation_share", problem });
        }
        let least = self.min_chars.max(self.min_post_chars).max(self.min_code_chars);
        if self.max_chars < least {
            let problem = format!("is {}, must be at least {least}, the largest of the least lengths", self.max_chars);
            return Err(Error::Option { key: "max_chars", problem });
        }
        if self.max_long_chars < self.max_chars {
            let problem = format!("is {}, must be at least max_chars, {}", self.max_long_chars, self.max_chars);
            return Err(Error::Option { key: "max_long_chars", problem });
        }
        for (key, value) in [
            ("min_post_chars", self.min_post_chars),
            ("max_passages_per_document", self.max_passages_per_document),
            ("prompt.passages", self.prompt.passages),
            ("prompt.passage_chars", self.prompt.passage_chars),
        ] {
            if value == 0 {
                return Err(Error::Option { key, problem: "is 0, must be at least 1".to_owned() });
            }
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
            (Options { near_duplicate: 0.2, ..Options::default() }, "near_duplicate"),
            (Options { train_share: 0.9, validation_share: 0.2, ..Options::default() }, "validation_share"),
            (Options { max_overlap: f64::NAN, ..Options::default() }, "max_overlap"),
            (Options { max_chars: 100, ..Options::default() }, "max_chars"),
            (Options { max_long_chars: 1_000, ..Options::default() }, "max_long_chars"),
            (Options { prose_share: 1.5, ..Options::default() }, "prose_share"),
        ] {
            assert!(options.validate().unwrap_err().to_string().contains(key));
        }
        assert!(serde_json::from_str::<Options>(r#"{"sead": 1}"#).is_err());
    }
}
