//! What a run will be, known before its first step.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Method, Recipe};

/// What a processor core trains of a model in a second: its parameters times the tokens. Measured with 135 million
/// parameters, all seven targets and packs of 1,400 tokens: 84 tokens a second of one core of an AMD EPYC.
const CORE_PACE: f64 = 1.1e10;

/// Samples of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fit {
    /// Read.
    pub read: u64,
    /// Of these, left out since they are longer than a pack or than the model's positions.
    pub too_long: u64,
    /// Of those to train on that are not too long, in no step: training ends before their turn. Of plans of earlier versions
    /// it is not known, and 0.
    #[serde(default)]
    pub unseen: u64,
}

/// What a run will be. The same task has the same plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The recipe with all that it left open filled in.
    pub recipe: Recipe,
    /// Samples to train and to evaluate on, by kind.
    pub samples: BTreeMap<String, Fit>,
    /// Tokens of the longest of them; as the next two, of a run in stages that of its first.
    pub longest: u64,
    /// Tokens that a sample may have: those of a pack, or the model's positions.
    pub limit: u64,
    /// Tokens that the model has positions for in a sample.
    pub positions: u64,
    /// Steps, at most.
    pub steps: u64,
    /// Tokens trained on in all steps.
    pub tokens: u64,
    /// Tokens of all evaluations, and of preferences those that the frozen model reads.
    pub evaluation_tokens: u64,
    /// Resident memory at its peak, bytes; estimated.
    pub memory_bytes: u64,
    /// The model's parameters.
    pub parameters: u64,
    /// Its stages, of which the numbers above are the sums; empty where there is but one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StagePlan>,
}

/// What a stage of a run will be. The recipe of the plan has its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StagePlan {
    /// What it learns from.
    pub method: Method,
    /// Samples to train and to evaluate on, by kind.
    pub samples: BTreeMap<String, Fit>,
    /// Tokens of the longest of them.
    pub longest: u64,
    /// Tokens that a sample may have: those of a pack, or the model's positions.
    pub limit: u64,
    /// Tokens that the model has positions for in a sample.
    pub positions: u64,
    /// Steps, at most.
    pub steps: u64,
    /// Tokens trained on in all steps.
    pub tokens: u64,
    /// Tokens of all evaluations, and of preferences those that the frozen model reads.
    pub evaluation_tokens: u64,
}

impl Plan {
    /// Seconds that it takes at so many trained tokens a second. What a twin measured includes its evaluations.
    pub fn seconds_at(&self, tokens_per_s: f64) -> f64 {
        self.tokens as f64 / tokens_per_s
    }

    /// Seconds that it takes on so many processor cores that nobody else uses, by the pace that was measured once
    /// (an evaluation has a forward pass alone: half of the work).
    pub fn seconds_on(&self, cores: usize) -> f64 {
        let work = self.tokens as f64 + self.evaluation_tokens as f64 / 2.0;
        work * self.parameters as f64 / (CORE_PACE * cores.max(1) as f64)
    }

    /// Refuses a run that would leave out more than this share of the samples of a kind, 0 to 1.
    ///
    /// # Errors
    /// Says how many of each kind, and which key to set.
    pub fn require_samples(&self, most: f64) -> Result<(), Error> {
        if self.stages.is_empty() {
            let Self { samples, longest, limit, positions, .. } = self;
            return Lengths { samples, longest: *longest, limit: *limit, positions: *positions }.require(most, "");
        }
        self.stages.iter().try_for_each(|stage| {
            let StagePlan { samples, longest, limit, positions, .. } = stage;
            let place = format!(" in the stage of `{}`", stage.method.as_str());
            Lengths { samples, longest: *longest, limit: *limit, positions: *positions }.require(most, &place)
        })
    }

    /// `30 of 30 grounded and 6 of 7 refusal samples`; empty if all fit.
    pub fn left_out(&self) -> String {
        left_out(&self.samples)
    }
}

/// How long samples are, and may be, in tokens.
struct Lengths<'a> {
    samples: &'a BTreeMap<String, Fit>,
    longest: u64,
    limit: u64,
    positions: u64,
}

impl Lengths<'_> {
    /// `place` says where in the recipe the key is.
    fn require(&self, most: f64, place: &str) -> Result<(), Error> {
        let is_over = |fit: &Fit| fit.too_long as f64 > most * fit.read as f64;
        if !self.samples.values().any(is_over) {
            return Ok(());
        }
        let Self { samples, longest, limit, positions } = self;
        let remedy = if longest > positions {
            format!(
                "the base model has {positions} positions: choose another (`trainer.base`), or make shorter samples \
                 (`datasets.build.prompt.passage_chars`, `datasets.build.max_chars`)"
            )
        } else {
            format!("set `pack_tokens` of the recipe{place} to {longest}, or leave it out")
        };
        Err(Error::Samples(format!(
            "longer than {limit} tokens are {}: {remedy}; or allow it by `trainer.max_left_out` (it is {most})",
            left_out(samples)
        )))
    }
}

fn left_out(samples: &BTreeMap<String, Fit>) -> String {
    let kinds = samples.iter().filter(|(_, fit)| fit.too_long > 0);
    let kinds: Vec<String> = kinds.map(|(kind, fit)| format!("{} of {} {kind}", fit.too_long, fit.read)).collect();
    match kinds.as_slice() {
        [] => String::new(),
        [one] => format!("{one} samples"),
        [first @ .., last] => format!("{} and {last} samples", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(samples: &[(&str, u64, u64)], longest: u64) -> Plan {
        let samples = samples.iter().map(|(kind, read, too_long)| {
            let fit = Fit { read: *read, too_long: *too_long, unseen: 0 };
            ((*kind).to_owned(), fit)
        });
        Plan {
            recipe: Recipe::default(),
            samples: samples.collect(),
            longest,
            limit: 256,
            positions: 8_192,
            steps: 150,
            tokens: 210_000,
            evaluation_tokens: 0,
            memory_bytes: 0,
            parameters: 134_515_008,
            stages: Vec::new(),
        }
    }

    #[test]
    fn a_run_that_would_not_see_a_kind_of_samples_is_refused_with_the_numbers_and_the_key() {
        let seen = plan(&[("grounded", 30, 30), ("refusal", 7, 6), ("voice", 900, 9)], 1_380);
        let refused = seen.require_samples(0.01).unwrap_err().to_string();
        for said in ["30 of 30 grounded", "6 of 7 refusal", "9 of 900 voice", "`pack_tokens`", "1380", "max_left_out"] {
            assert!(refused.contains(said), "{refused} says nothing of {said}");
        }
        assert!(seen.require_samples(1.0).is_ok());
        assert!(plan(&[("voice", 900, 9)], 300).require_samples(0.01).is_ok(), "one in a hundred");
        assert!(plan(&[("voice", 900, 0)], 200).require_samples(0.0).is_ok());
        let beyond = plan(&[("grounded", 30, 30)], 9_000).require_samples(0.01).unwrap_err().to_string();
        assert!(beyond.contains("trainer.base") && beyond.contains("8192"), "{beyond}");
    }

    #[test]
    fn a_stage_that_would_not_see_its_samples_is_refused_with_where_its_key_is() {
        let fit = |read, too_long| Fit { read, too_long, unseen: 0 };
        let stage = |method, kind: &str, fit, longest| StagePlan {
            method,
            samples: BTreeMap::from([(kind.to_owned(), fit)]),
            longest,
            limit: 1_024,
            positions: 16_384,
            steps: 20,
            tokens: 20_000,
            evaluation_tokens: 0,
        };
        let mut staged = plan(&[("voice", 100, 0), ("preference", 20, 9)], 900);
        staged.stages =
            vec![stage(Method::Sft, "voice", fit(100, 0), 900), stage(Method::Dpo, "preference", fit(20, 9), 2_100)];
        let refused = staged.require_samples(0.01).unwrap_err().to_string();
        for said in ["9 of 20 preference", "in the stage of `dpo`", "2100", "longer than 1024"] {
            assert!(refused.contains(said), "{refused} says nothing of {said}");
        }
        staged.stages[1].samples.clear();
        staged.require_samples(0.01).unwrap();
    }

    #[test]
    fn a_plan_of_an_earlier_version_is_read() {
        let earlier = r#"{"read": 30, "too_long": 1}"#;
        assert_eq!(serde_json::from_str::<Fit>(earlier).unwrap(), Fit { read: 30, too_long: 1, unseen: 0 });
        let now = plan(&[("voice", 9, 0)], 300);
        let text = serde_json::to_string(&now).unwrap();
        assert!(!text.contains("stages"), "a run of one stage is written as before: {text}");
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), now);
    }

    #[test]
    fn the_time_is_that_of_the_run_the_pace_was_measured_in() {
        let minutes = plan(&[], 0).seconds_on(2) / 60.0;
        assert!((15.0..30.0).contains(&minutes), "{minutes}");
        assert_eq!(plan(&[], 0).seconds_at(100.0), 2_100.0);
    }
}
