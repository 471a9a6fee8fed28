//! The metrics: what each means, which way is better, and which samples it is taken on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Nats per token on the author's unseen text, all tokens alike. Comparable between models with one tokenizer.
    LossPerToken,
    /// Bits per byte on the author's unseen text; comparable between models with different tokenizers.
    BitsPerByte,
    /// Authorship of answers in prose by the impostors' method, 0 to 1 ([`crate::stylometry::Impostors`]).
    Authorship,
    /// Authorship of answers in code, 0 to 1.
    CodeAuthorship,
    /// Likeness of answers to the author's unseen text by character n-grams, 0 to 1 ([`crate::stylometry`]).
    Likeness,
    /// Distance of answers to the author by the commonest words: cosine Delta, 0 to 2 ([`crate::stylometry`]).
    Delta,
    /// Share of grounded answers that cite a passage, and none that was not given ([`crate::grounded`]).
    CitationsValid,
    /// Share of grounded answers that cite the passage that holds the answer.
    RightPassage,
    /// Share of grounded answers with a quotation that is in no passage.
    InventedQuotes,
    /// ROUGE-L F1 of grounded answers against their references, 0 to 1 ([`crate::rouge`]).
    RougeL,
    /// Share of questions without an answer that the model says not to know.
    RefusalsRight,
    /// Share of questions with an answer that the model says not to know.
    FalseRefusals,
    /// Share of answers that are empty, go round in circles, or do not end ([`crate::degenerate`]).
    Degenerate,
    /// Share of questions put through serving whose answer cites a passage that holds the answer ([`crate::end_to_end`]).
    ServedRightPassage,
    /// Of the same, share whose answer cites a passage, and none that was not given.
    ServedCitationsValid,
    /// Of the same, share whose answer has a quotation that is in no passage.
    ServedInventedQuotes,
    /// Of the sentences that claim something in such an answer, the share that its passages support, 0 to 1. Of an answer that
    /// claims nothing it is 1: what it does not say is no lie, and whether it should have said it is another metric.
    ServedGrounded,
    /// Share of such answers in whose place serving gives quotations, since passages support too little of them.
    ServedReplaced,
    /// Share of questions put through serving without the document that answers, to which the twin says not to know.
    ServedRefusalsRight,
    /// Share of questions put through serving that a text answers, to which the twin says not to know.
    ServedFalseRefusals,
}

impl Metric {
    /// Those of the test samples, in the order in which reports list them.
    pub const ALL: [Self; 13] = [
        Self::LossPerToken,
        Self::BitsPerByte,
        Self::Authorship,
        Self::CodeAuthorship,
        Self::Likeness,
        Self::Delta,
        Self::CitationsValid,
        Self::RightPassage,
        Self::InventedQuotes,
        Self::RougeL,
        Self::RefusalsRight,
        Self::FalseRefusals,
        Self::Degenerate,
    ];

    /// Those of answers from end to end, in the order in which reports list them, behind the others. They can be guards of a
    /// policy; none decides, since they are of fewer questions, and there are none where the index is away.
    pub const SERVED: [Self; 7] = [
        Self::ServedRightPassage,
        Self::ServedCitationsValid,
        Self::ServedInventedQuotes,
        Self::ServedGrounded,
        Self::ServedReplaced,
        Self::ServedRefusalsRight,
        Self::ServedFalseRefusals,
    ];

    /// Whether it is of answers from end to end.
    pub fn is_served(self) -> bool {
        Self::SERVED.contains(&self)
    }

    /// Which way is better.
    pub fn direction(self) -> Direction {
        match self {
            Self::Authorship
            | Self::CodeAuthorship
            | Self::Likeness
            | Self::CitationsValid
            | Self::RightPassage
            | Self::RougeL
            | Self::RefusalsRight
            | Self::ServedRightPassage
            | Self::ServedCitationsValid
            | Self::ServedGrounded
            | Self::ServedRefusalsRight => Direction::Higher,
            Self::LossPerToken
            | Self::BitsPerByte
            | Self::Delta
            | Self::InventedQuotes
            | Self::FalseRefusals
            | Self::Degenerate
            | Self::ServedInventedQuotes
            | Self::ServedReplaced
            | Self::ServedFalseRefusals => Direction::Lower,
        }
    }

    /// Whether it is a share of answers, which people read as per cent.
    pub fn is_share(self) -> bool {
        !matches!(
            self,
            Self::LossPerToken
                | Self::BitsPerByte
                | Self::Authorship
                | Self::CodeAuthorship
                | Self::Likeness
                | Self::Delta
                | Self::RougeL
        )
    }

    /// Why nothing was measured by it, in words for a sentence.
    pub fn absence(self) -> &'static str {
        match self {
            Self::Authorship => {
                "there is too little text for it: it takes 1500 characters of the author's other test documents, in English, \
                 German, French or Spanish, and passages of 150 characters"
            }
            Self::CodeAuthorship => {
                "there is too little code for it: it takes 1500 characters of the author's other test documents and of the \
                 base model's answers"
            }
            metric if metric.is_served() => "no question was put from end to end; the report says why",
            _ => "there are no samples for it",
        }
    }

    /// The name in JSON and TOML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LossPerToken => "loss_per_token",
            Self::BitsPerByte => "bits_per_byte",
            Self::Authorship => "authorship",
            Self::CodeAuthorship => "code_authorship",
            Self::Likeness => "likeness",
            Self::Delta => "delta",
            Self::CitationsValid => "citations_valid",
            Self::RightPassage => "right_passage",
            Self::InventedQuotes => "invented_quotes",
            Self::RougeL => "rouge_l",
            Self::RefusalsRight => "refusals_right",
            Self::FalseRefusals => "false_refusals",
            Self::Degenerate => "degenerate",
            Self::ServedRightPassage => "served_right_passage",
            Self::ServedCitationsValid => "served_citations_valid",
            Self::ServedInventedQuotes => "served_invented_quotes",
            Self::ServedGrounded => "served_grounded",
            Self::ServedReplaced => "served_replaced",
            Self::ServedRefusalsRight => "served_refusals_right",
            Self::ServedFalseRefusals => "served_false_refusals",
        }
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::LossPerToken => "Loss per token",
            Self::BitsPerByte => "Bits per byte",
            Self::Authorship => "Authorship",
            Self::CodeAuthorship => "Authorship of code",
            Self::Likeness => "Likeness to the author",
            Self::Delta => "Distance to the author (Delta)",
            Self::CitationsValid => "Valid citations",
            Self::RightPassage => "Right passage cited",
            Self::InventedQuotes => "Invented quotations",
            Self::RougeL => "ROUGE-L",
            Self::RefusalsRight => "Right refusals",
            Self::FalseRefusals => "False refusals",
            Self::Degenerate => "Degenerate answers",
            Self::ServedRightPassage => "Right passage cited, end to end",
            Self::ServedCitationsValid => "Valid citations, end to end",
            Self::ServedInventedQuotes => "Invented quotations, end to end",
            Self::ServedGrounded => "Grounded share, end to end",
            Self::ServedReplaced => "Replaced by quotations, end to end",
            Self::ServedRefusalsRight => "Right refusals, end to end",
            Self::ServedFalseRefusals => "False refusals, end to end",
        }
    }

    /// What it means, in one line for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::LossPerToken => "Nats per token on the author's own unseen text: how surprised the model is by it.",
            Self::BitsPerByte => "The same in bits per byte, comparable between models with different tokenizers.",
            Self::Authorship => {
                "Share of trials in which an answer is nearer to the author's other unseen text than to the base model and \
                 other writers, topics left out."
            }
            Self::CodeAuthorship => "The same for code: keywords, layout and the shapes of names.",
            Self::Likeness => "Character 3- to 5-grams shared with the author's other unseen text, as a cosine.",
            Self::Delta => "How differently the commonest words are used than by the author: cosine Delta, 0 to 2.",
            Self::CitationsValid => "Answers that cite at least one passage, and none that was not given.",
            Self::RightPassage => "Answers that cite the passage that holds the answer.",
            Self::InventedQuotes => "Answers with a quotation of three words or more that is in no passage.",
            Self::RougeL => "Longest common subsequence of words with the reference answer, F1.",
            Self::RefusalsRight => "Questions that no passage answers, and the model says so.",
            Self::FalseRefusals => "Questions that a passage answers, and the model says not to know.",
            Self::Degenerate => "Answers that are empty, go round in circles, or do not end.",
            Self::ServedRightPassage => {
                "Questions put as a client puts them, whose answer cites a passage that holds the answer."
            }
            Self::ServedCitationsValid => "Of the same, answers that cite a passage, and none that was not given.",
            Self::ServedInventedQuotes => {
                "Of the same, answers with a quotation of three words or more that is in no passage."
            }
            Self::ServedGrounded => "Of the sentences that claim something, the share that the passages support.",
            Self::ServedReplaced => {
                "Answers in whose place serving gives quotations, as too little of them is supported."
            }
            Self::ServedRefusalsRight => "Questions whose document was left out, and the twin says not to know.",
            Self::ServedFalseRefusals => "Questions that a text of the author answers, and the twin says not to know.",
        }
    }

    /// How much better `candidate` is than `production`: above zero is better, whichever way the metric goes.
    pub fn improvement(self, candidate: f64, production: f64) -> f64 {
        match self.direction() {
            Direction::Higher => candidate - production,
            Direction::Lower => production - candidate,
        }
    }
}
