//! What is evaluated on, how, and what a candidate must reach.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use twin_registry::MeasureChanges;

use crate::{Counts, Error, Metric, SampleKind};

/// Settings of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Voice samples, at most. A small model on a processor writes about thirty tokens a second, for each of three
    /// models.
    pub max_voice: usize,
    /// Grounded samples, at most.
    pub max_grounded: usize,
    /// Refusal samples, at most.
    pub max_refusal: usize,
    /// Questions of grounded samples, and of refusal samples, that are also put from end to end, at most of each: through the
    /// search, the threshold and the checks of serving. 0: none.
    pub max_asked: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// Resamples of the bootstrap.
    pub resamples: u32,
    /// The commonest words that Delta compares. Short texts bear few: of those beyond the first hundred or two a text
    /// of a page has none.
    pub frequent_words: usize,
    /// Words of an answer and of a reference that ROUGE-L reads, at most: its time grows with their product.
    pub rouge_words: usize,
    /// An answer goes round in circles when, within 64 words, this share of word 4-grams stood there before.
    pub loop_share: f64,
    /// An answer that was cut off by the token limit did not end if it is this many times as long as the reference.
    pub overlong_ratio: f64,
    /// An answer of more words is degenerate, however it ended.
    pub max_words: usize,
    /// Phrases by which an answer says that it does not know, in lower case.
    pub refusal_phrases: Vec<String>,
    /// Samples in the report with the answers side by side, at most.
    pub shown_samples: usize,
    /// Characters of each answer in the report, at most.
    pub shown_chars: usize,
    /// Pairs of answers that a judge is shown, at most, each in both orders.
    pub max_judged: usize,
    /// What a candidate must reach.
    pub policy: Policy,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_voice: 40,
            max_grounded: 40,
            max_refusal: 40,
            max_asked: 20,
            seed: 1,
            resamples: 10_000,
            frequent_words: 150,
            rouge_words: 512,
            loop_share: 0.5,
            overlong_ratio: 2.0,
            max_words: 1_500,
            refusal_phrases: crate::grounded::REFUSAL_PHRASES.map(str::to_owned).to_vec(),
            shown_samples: 12,
            shown_chars: 2_000,
            max_judged: 40,
            policy: Policy::default(),
        }
    }
}

impl Options {
    /// Samples of a kind, at most.
    pub fn limit(&self, kind: SampleKind) -> usize {
        match kind {
            SampleKind::Voice => self.max_voice,
            SampleKind::Grounded => self.max_grounded,
            SampleKind::Refusal => self.max_refusal,
        }
    }

    /// These options with what one evaluation asks for otherwise. A guard that becomes the primary metric is none any more.
    ///
    /// # Errors
    /// As [`Self::validate`], and if a name is none that is known.
    pub fn changed(&self, changes: &MeasureChanges) -> Result<Self, Error> {
        let mut options = self.clone();
        let limit = |option: &mut usize, change: Option<u32>| *option = change.map_or(*option, |most| most as usize);
        limit(&mut options.max_voice, changes.max_voice);
        limit(&mut options.max_grounded, changes.max_grounded);
        limit(&mut options.max_refusal, changes.max_refusal);
        limit(&mut options.max_asked, changes.max_asked);
        limit(&mut options.max_judged, changes.max_judged);
        let policy = &mut options.policy;
        if let Some(primary) = &changes.primary {
            policy.primary = named("policy.primary", primary)?;
            policy.guards.retain(|guard| guard.metric != policy.primary);
        }
        if let Some(rule) = &changes.guard_rule {
            policy.guard_rule = named("policy.guard_rule", rule)?;
        }
        policy.confidence = changes.confidence.unwrap_or(policy.confidence);
        policy.min_samples = changes.min_samples.map_or(policy.min_samples, u64::from);
        policy.min_documents = changes.min_documents.map_or(policy.min_documents, u64::from);
        options.validate()?;
        Ok(options)
    }

    /// Whether they make sense together. A guard that is the primary metric, too, does: more is asked of it then, and the
    /// verdict passes over it as a guard.
    ///
    /// # Errors
    /// [`Error::Options`] names the first that does not.
    pub fn validate(&self) -> Result<(), Error> {
        let require = |holds: bool, option: &str, problem: &str| match holds {
            true => Ok(()),
            false => Err(Error::Options { option: option.to_owned(), problem: problem.to_owned() }),
        };
        let policy = &self.policy;
        require(self.resamples >= 100, "resamples", "at least 100 are needed for an interval")?;
        require(self.frequent_words >= 10, "frequent_words", "at least 10 words are needed")?;
        require(self.loop_share > 0.0 && self.loop_share <= 1.0, "loop_share", "it must be above 0 and at most 1")?;
        require(self.overlong_ratio >= 1.0, "overlong_ratio", "it must be at least 1")?;
        let is_level = policy.confidence > 0.5 && policy.confidence < 1.0;
        require(is_level, "policy.confidence", "it must be above 0.5 and below 1")?;
        for (option, metric) in [("policy.primary", policy.primary), ("policy.fallback", policy.fallback)] {
            require(!metric.is_served(), option, "a metric of answers from end to end can guard and not decide")?;
        }
        for guard in &policy.guards {
            let margin = format!("policy.guards.{}", guard.metric.as_str());
            require(guard.margin.is_finite() && guard.margin >= 0.0, &margin, "its margin must be zero or more")?;
        }
        let rate = policy.judge_win_rate.unwrap_or(0.5);
        require((0.0..=1.0).contains(&rate), "policy.judge_win_rate", "it must be between 0 and 1")
    }
}

/// The value of an option that has names for values.
fn named<T: DeserializeOwned>(option: &str, name: &str) -> Result<T, Error> {
    let unknown = |error: serde_json::Error| Error::Options { option: option.to_owned(), problem: error.to_string() };
    serde_json::from_value(serde_json::Value::String(name.to_owned())).map_err(unknown)
}

/// What a candidate must reach to follow the model in production.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The metric that must have improved: its interval must lie above zero.
    pub primary: Metric,
    /// The metric that takes its place where the primary one is measured on fewer than `min_samples` or `min_documents`, for
    /// want of text. The primary metric itself: none does, and the verdict is then inconclusive.
    pub fallback: Metric,
    /// The metrics that must not have fallen.
    pub guards: Vec<Guard>,
    /// How guards are read.
    pub guard_rule: GuardRule,
    /// Level of the intervals (two-sided). That of the primary metric rises with each further evaluation against the same
    /// production, so that all of them together take what is no better for better at most with the probability that
    /// this leaves.
    pub confidence: f64,
    /// A metric on fewer samples says nothing.
    pub min_samples: u64,
    /// A metric on samples of fewer documents says nothing. What differs by the same in each of five documents may be
    /// otherwise in four of ten.
    pub min_documents: u64,
    /// The share of comparisons by the judge that the candidate must be sure to win (the interval's lower end; a tie
    /// is half a win). Absent: the judge's opinion is shown, and decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge_win_rate: Option<f64>,
}

/// A metric that must not have fallen by more than its margin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// Which.
    pub metric: Metric,
    /// How much worse is tolerated, in the metric's own unit.
    pub margin: f64,
}

/// How guards are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardRule {
    /// As a test of non-inferiority: it holds only if the whole interval is within the margin. If the mean is, and the
    /// interval is not, there are too few samples to tell.
    Interval,
    /// By the mean alone. For small test splits, where a person looks at the report anyway.
    Mean,
}

impl Policy {
    /// Whether a metric that was measured on so many says something.
    pub fn is_enough(&self, counts: Counts) -> bool {
        counts.samples >= self.min_samples && counts.documents >= self.min_documents
    }
}

impl Default for Policy {
    fn default() -> Self {
        let guard = |metric, margin| Guard { metric, margin };
        Self {
            primary: Metric::Authorship,
            fallback: Metric::Likeness,
            guards: vec![
                guard(Metric::BitsPerByte, 0.05),
                guard(Metric::Degenerate, 0.05),
                guard(Metric::CitationsValid, 0.10),
                guard(Metric::RefusalsRight, 0.10),
                guard(Metric::FalseRefusals, 0.10),
                guard(Metric::Likeness, 0.02),
            ],
            guard_rule: GuardRule::Interval,
            confidence: 0.95,
            min_samples: 10,
            min_documents: 5,
            judge_win_rate: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_metric_may_be_one_of_the_default_guards() {
        for name in ["bits_per_byte", "likeness", "authorship"] {
            let primary = serde_json::json!({"policy": {"primary": name}});
            let options: Options = serde_json::from_value(primary).unwrap();
            assert!(options.validate().is_ok(), "{name}: configurations of before name it");
            assert_eq!(options.policy.guards, Policy::default().guards);
        }
    }

    #[test]
    fn a_guard_with_a_margin_below_zero_is_refused() {
        let mut options = Options::default();
        options.policy.guards[0].margin = -0.1;
        assert!(options.validate().unwrap_err().to_string().contains("policy.guards.bits_per_byte"));
    }
}
