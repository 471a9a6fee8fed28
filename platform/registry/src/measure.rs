//! What one evaluation is asked to measure otherwise than the evaluator is configured.

use serde::{Deserialize, Serialize};

/// What is measured otherwise than configured (`evaluator.measure`), and asked otherwise of the candidate. What is absent is
/// as configured. Whether the values make sense together, the evaluator says: an evaluation of such that do not fails by
/// the option's name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MeasureChanges {
    /// Voice samples, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_voice: Option<u32>,
    /// Grounded samples, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_grounded: Option<u32>,
    /// Refusal samples, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_refusal: Option<u32>,
    /// Questions that are put from end to end, at most of each kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_asked: Option<u32>,
    /// Pairs of answers that a judge is shown, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_judged: Option<u32>,
    /// The name of the metric that must have improved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// How guards are read: `interval` or `mean`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard_rule: Option<String>,
    /// Level of the intervals, two-sided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Samples that a metric needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_samples: Option<u32>,
    /// Documents that a metric needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_documents: Option<u32>,
}

impl MeasureChanges {
    /// Whether everything is as configured.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
