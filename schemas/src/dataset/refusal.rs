//! Why a passage is in no dataset.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a passage is in no dataset. A closed set: manifests and metrics count by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Fewer characters than asked for.
    TooShort,
    /// A sentence, a block or an item of code with more characters than allowed.
    TooLong,
    /// More passages of a document than allowed.
    TooMany,
    /// Marked as somebody else's words.
    Quotation,
    /// In another language than its document.
    Foreign,
    /// In a language that was not asked for.
    Language,
    /// Newsletter, sharing, licence and the like; code that says it is generated.
    Boilerplate,
    /// Mostly links.
    Links,
    /// Mostly punctuation, digits and symbols; or, of an article, a table or code alone.
    Symbols,
    /// Holds a key, a token or a password.
    Secret,
    /// Holds an e-mail address, a phone number, a bank account or an internet address.
    PersonalData,
    /// Its instruction can not be told from it, or would give it away.
    NoInstruction,
    /// The same words as another passage.
    ExactDuplicate,
    /// Nearly the same words as another passage.
    NearDuplicate,
    /// Has too much in common with a held-out passage.
    HeldOut,
    /// Whatever it could be asked for by stands in another split.
    SamePrompt,
    /// Code beyond its share beside prose.
    TooMuchCode,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; 17] = [
        Self::TooShort,
        Self::TooLong,
        Self::TooMany,
        Self::Quotation,
        Self::Foreign,
        Self::Language,
        Self::Boilerplate,
        Self::Links,
        Self::Symbols,
        Self::Secret,
        Self::PersonalData,
        Self::NoInstruction,
        Self::ExactDuplicate,
        Self::NearDuplicate,
        Self::HeldOut,
        Self::SamePrompt,
        Self::TooMuchCode,
    ];

    /// The name used in manifests and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::TooMany => "too_many",
            Self::Quotation => "quotation",
            Self::Foreign => "foreign",
            Self::Language => "language",
            Self::Boilerplate => "boilerplate",
            Self::Links => "links",
            Self::Symbols => "symbols",
            Self::Secret => "secret",
            Self::PersonalData => "personal_data",
            Self::NoInstruction => "no_instruction",
            Self::ExactDuplicate => "exact_duplicate",
            Self::NearDuplicate => "near_duplicate",
            Self::HeldOut => "held_out",
            Self::SamePrompt => "same_prompt",
            Self::TooMuchCode => "too_much_code",
        }
    }
}

/// Passages refused, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Refusals(BTreeMap<Refusal, u64>);

impl Refusals {
    /// Counts one more.
    pub fn add(&mut self, reason: Refusal) {
        *self.0.entry(reason).or_insert(0) += 1;
    }

    /// Counts those of another.
    pub fn merge(&mut self, other: &Self) {
        for (reason, count) in &other.0 {
            *self.0.entry(*reason).or_insert(0) += count;
        }
    }

    /// How many for this reason.
    pub fn count(&self, reason: Refusal) -> u64 {
        self.0.get(&reason).copied().unwrap_or(0)
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> {
        self.0.iter().map(|(reason, count)| (*reason, *count))
    }
}
