//! The stages of a recipe: supervised fine-tuning, then preferences, on one adapter. One run makes one model of them.
//!
//! A stage is a recipe of its own once what it does not name is filled in ([`Recipe::by_stage`]). It takes that from the
//! recipe around it, but for what belongs to the first stage's samples and method: the second has its own rate, length,
//! packs and terms of the loss, named or settled.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Method, Recipe, Schedule, Settled};

/// Weight of the better answer's mean loss in a stage after another: that of Llama 3 (Grattafiori et al. 2024,
/// arXiv 2407.21783, section 4.1.4).
const NLL: f64 = 0.2;

/// How much the tokens by which one answer is longer count in a stage after another. An author writes longer or shorter
/// than the model that is compared with, always; half of that is left, since some of it is how they write.
const LD_ALPHA: f64 = 0.5;

/// A stage: its method, and what it does otherwise than the recipe that it stands in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// `sft` or `dpo`.
    pub method: Method,
    /// Highest learning rate. Absent, in the second stage: a tenth of that of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// How the learning rate goes after the warm-up. Absent: as the recipe says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Steps in which the learning rate rises from 0. Absent: as the recipe says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_steps: Option<usize>,
    /// Times that each sample is seen. Absent, in the second stage: 1 to 3, so that there are 30 steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Steps, at most; 0 is no limit. Absent, in the second stage: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<usize>,
    /// Tokens in a pack of samples, at most. Absent, in the second stage: the longest sample that fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack_tokens: Option<usize>,
    /// Packs in a step. Absent: as the recipe says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accumulation: Option<usize>,
    /// Steps between two evaluations. Absent: as the recipe says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval_every: Option<usize>,
    /// Evaluations in a row without a lower loss after which the stage ends. Absent: as the recipe says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// How strongly a preference holds to the model that the first stage has made. Absent: as the recipe says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpo_beta: Option<f64>,
    /// Weight of the better answer's mean loss. Absent: 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpo_nll: Option<f64>,
    /// How much the tokens count by which an answer is the longer one. Absent: 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpo_ld_alpha: Option<f64>,
}

impl Stage {
    /// A stage that names nothing but its method.
    pub fn of(method: Method) -> Self {
        Self {
            method,
            learning_rate: None,
            schedule: None,
            warmup_steps: None,
            epochs: None,
            max_steps: None,
            pack_tokens: None,
            accumulation: None,
            eval_every: None,
            patience: None,
            dpo_beta: None,
            dpo_nll: None,
            dpo_ld_alpha: None,
        }
    }

    /// The stage with all filled in that its recipe was settled to.
    fn filled(&self, recipe: &Recipe) -> Self {
        let is_of_preferences = self.method == Method::Dpo;
        Self {
            learning_rate: recipe.learning_rate,
            epochs: recipe.epochs,
            max_steps: Some(recipe.max_steps),
            pack_tokens: recipe.pack_tokens,
            dpo_nll: is_of_preferences.then_some(recipe.dpo_nll),
            dpo_ld_alpha: is_of_preferences.then_some(recipe.dpo_ld_alpha),
            ..self.clone()
        }
    }
}

impl Recipe {
    /// The recipe of each stage in their order, none of which has stages itself; its own, where it names none.
    pub fn by_stage(&self) -> Vec<Self> {
        if self.stages.is_empty() {
            return vec![self.clone()];
        }
        self.stages.iter().enumerate().map(|(place, stage)| self.of_stage(stage, place == 0)).collect()
    }

    fn of_stage(&self, stage: &Stage, is_first: bool) -> Self {
        Self {
            method: stage.method,
            learning_rate: stage.learning_rate.or(self.learning_rate.filter(|_| is_first)),
            schedule: stage.schedule.unwrap_or(self.schedule),
            warmup_steps: stage.warmup_steps.unwrap_or(self.warmup_steps),
            epochs: stage.epochs.or(self.epochs.filter(|_| is_first)),
            max_steps: stage.max_steps.unwrap_or(if is_first { self.max_steps } else { 0 }),
            pack_tokens: stage.pack_tokens.or(self.pack_tokens.filter(|_| is_first)),
            accumulation: stage.accumulation.unwrap_or(self.accumulation),
            eval_every: stage.eval_every.unwrap_or(self.eval_every),
            patience: stage.patience.unwrap_or(self.patience),
            dpo_beta: stage.dpo_beta.unwrap_or(self.dpo_beta),
            dpo_nll: stage.dpo_nll.unwrap_or(if is_first { self.dpo_nll } else { NLL }),
            dpo_ld_alpha: stage.dpo_ld_alpha.unwrap_or(if is_first { self.dpo_ld_alpha } else { LD_ALPHA }),
            stages: Vec::new(),
            ..self.clone()
        }
    }

    /// The whole recipe with nothing left open, given its stages as they were settled, one by one.
    pub fn filled(&self, settled: &[Settled]) -> Self {
        let Some(first) = settled.first().map(|settled| &settled.recipe) else { return self.clone() };
        if self.stages.is_empty() {
            return first.clone();
        }
        let stages = self.stages.iter().zip(settled).map(|(stage, settled)| stage.filled(&settled.recipe));
        Self {
            targets: first.targets.clone(),
            learning_rate: first.learning_rate,
            epochs: first.epochs,
            pack_tokens: first.pack_tokens,
            stages: stages.collect(),
            ..self.clone()
        }
    }

    /// Checks the stages, if there are any.
    pub(crate) fn validate_stages(&self) -> Result<(), Error> {
        let Some(first) = self.stages.first() else { return Ok(()) };
        let refused = |key, problem: &str| Err(Error::Recipe { key, problem: problem.to_owned() });
        let methods: Vec<Method> = self.stages.iter().map(|stage| stage.method).collect();
        if methods != [Method::Sft, Method::Dpo] {
            return refused("stages", "must be two, of method `sft` and then `dpo`");
        }
        if self.method != Method::Sft {
            return refused("method", "is each stage's: leave it out beside `stages`");
        }
        if first.dpo_beta.or(first.dpo_nll).or(first.dpo_ld_alpha).is_some() {
            return refused("stages", "set keys of `dpo` in the stage of `sft`: put them into the other");
        }
        if self.dpo_nll != 0.0 || self.dpo_ld_alpha != 1.0 {
            return refused(
                "stages",
                "have `dpo_nll` and `dpo_ld_alpha` of their own: put them into the stage of `dpo`",
            );
        }
        self.by_stage().iter().try_for_each(Self::validate)
    }
}

/// The name of what a stage (from 0) measures: `loss`, and of preferences after it `dpo_loss`, since it is another loss.
pub fn metric_of(name: &str, stage: usize) -> String {
    if stage == 0 { name.to_owned() } else { format!("dpo_{name}") }
}
