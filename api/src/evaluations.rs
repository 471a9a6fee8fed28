//! What an evaluation is asked to measure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An evaluation to queue. What is absent is as the evaluator is configured (`evaluator.measure`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluationRequest {
    /// Who asks, 1 to 100 characters; `unnamed` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Grace")]
    pub by: Option<String>,
    /// Voice samples, at most; 0 to 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 120)]
    pub max_voice: Option<u32>,
    /// Grounded samples, at most; 0 to 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_grounded: Option<u32>,
    /// Refusal samples, at most; 0 to 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_refusal: Option<u32>,
    /// Questions with an answer, and without one, that are put through the twin's own search and checks, at most of each; 0 to 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_asked: Option<u32>,
    /// Pairs of answers that a judge is shown, at most; 0 to 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_judged: Option<u32>,
    /// The metric that must have improved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline)]
    pub primary: Option<EvaluationMetric>,
    /// Whether guards are read by their intervals or by their means.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline)]
    pub guard_rule: Option<EvaluationGuardRule>,
    /// Level of the intervals, two-sided: above 0.5 and below 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Samples that a metric needs to say something; 1 to 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_samples: Option<u32>,
    /// Documents that a metric needs to say something; 1 to 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_documents: Option<u32>,
}

/// What an evaluation measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationMetric {
    /// Nats per token on the author's unseen text.
    LossPerToken,
    /// The same in bits per byte.
    BitsPerByte,
    /// Authorship of prose by the impostors' method.
    Authorship,
    /// Authorship of code.
    CodeAuthorship,
    /// Likeness to the author by character n-grams.
    Likeness,
    /// Distance to the author by the commonest words.
    Delta,
    /// Grounded answers with valid citations.
    CitationsValid,
    /// Grounded answers that cite the right passage.
    RightPassage,
    /// Grounded answers that quote what no passage says.
    InventedQuotes,
    /// ROUGE-L of grounded answers.
    RougeL,
    /// Questions without an answer that are refused.
    RefusalsRight,
    /// Questions with an answer that are refused.
    FalseRefusals,
    /// Answers that are empty, loop or do not end.
    Degenerate,
}

impl EvaluationMetric {
    /// All of them.
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

    /// As it is written.
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
        }
    }
}

/// How guards are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationGuardRule {
    /// The whole interval must be within the margin.
    Interval,
    /// The mean must.
    Mean,
}

impl EvaluationGuardRule {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::Mean => "mean",
        }
    }
}
