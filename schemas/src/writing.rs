//! A text that is to be written, and what was written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::Category;
use crate::query::{Answered, Passage};

/// What a text is to be like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Writing {
    /// What is to be written. A model that is not the author's own is shown texts of this category.
    pub category: Category,
    /// Words wanted, about. Absent: as many as a text of the category usually has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<u32>,
    /// Whether it is to rest on passages that are found for the instruction, and cite them.
    pub facts: bool,
}

/// The end of a text that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WrittenText {
    /// The text. Its citations are the passages that facts were to come from.
    pub answered: Answered,
    /// Where the author's voice is from.
    pub voice: Voice,
    /// Passages that the model was shown as examples of the author's style.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Passage>,
    /// What is copied from those, or from the citations, without quotation marks: each run of words that is longer than a
    /// sentence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copied: Vec<Copied>,
}

/// Where the voice of a text is from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Voice {
    /// The model was trained on the author.
    Trained,
    /// It was shown examples.
    Examples,
    /// It knows no more of the author than the passages with facts, if there are any.
    #[default]
    Unknown,
}

/// Words that are copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Copied {
    /// The words, as they stand in the text.
    pub text: String,
    /// The marker of the passage, where it is one of the citations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<u32>,
    /// The passage that they are from.
    pub passage: Passage,
}

impl From<Answered> for WrittenText {
    /// A text for which no model was asked.
    fn from(answered: Answered) -> Self {
        Self { answered, voice: Voice::default(), examples: Vec::new(), copied: Vec::new() }
    }
}
