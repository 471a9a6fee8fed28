//! The recipe: all that decides what a training run makes of a base model and data.
//!
//! Four settings may be left open (`targets`, `learning_rate`, `epochs`, `pack_tokens`): they follow from the base model
//! and the data then ([`Recipe::settled`]). A recipe may have two stages, one after the other on the same adapter
//! ([`Stage`]).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Stage};

/// What is learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Supervised fine-tuning: the completions of conversations.
    Sft,
    /// Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290): pairs of a better and a worse answer.
    Dpo,
}

impl Method {
    /// Its name in recipes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sft => "sft",
            Self::Dpo => "dpo",
        }
    }
}

/// What the base model is held and computed in. The adapter, its gradients' sums and its optimizer are in single
/// precision always, and so is what needs the digits: norms, attention weights, losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Half precision with the range of single precision: half of the memory and a multiple of the speed, on GPUs.
    Bf16,
}

impl Precision {
    fn is_single(&self) -> bool {
        *self == Self::F32
    }
}

/// How the learning rate goes after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls to 0 along a line.
    Linear,
    /// It falls to 0 along half a cosine.
    Cosine,
}

/// A weight matrix of each decoder layer that is adapted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Queries.
    QProj,
    /// Keys.
    KProj,
    /// Values.
    VProj,
    /// The attention's output.
    OProj,
    /// The MLP's gate.
    GateProj,
    /// The MLP's other input.
    UpProj,
    /// The MLP's output.
    DownProj,
}

impl Target {
    /// All, in the order of the computation.
    pub const ALL: [Self; 7] =
        [Self::QProj, Self::KProj, Self::VProj, Self::OProj, Self::GateProj, Self::UpProj, Self::DownProj];

    /// Its name in PEFT's `target_modules`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QProj => "q_proj",
            Self::KProj => "k_proj",
            Self::VProj => "v_proj",
            Self::OProj => "o_proj",
            Self::GateProj => "gate_proj",
            Self::UpProj => "up_proj",
            Self::DownProj => "down_proj",
        }
    }

    /// Whether it is one of attention's; the others are the MLP's.
    pub fn is_of_attention(self) -> bool {
        matches!(self, Self::QProj | Self::KProj | Self::VProj | Self::OProj)
    }

    /// Its name within a layer, as in the base model's files.
    pub fn path(self) -> &'static str {
        match self {
            Self::QProj => "self_attn.q_proj",
            Self::KProj => "self_attn.k_proj",
            Self::VProj => "self_attn.v_proj",
            Self::OProj => "self_attn.o_proj",
            Self::GateProj => "mlp.gate_proj",
            Self::UpProj => "mlp.up_proj",
            Self::DownProj => "mlp.down_proj",
        }
    }
}

/// Settings of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// `sft` or `dpo`.
    pub method: Method,
    /// Rank of the adapter's matrices.
    pub rank: usize,
    /// The adapter's output is scaled by `alpha / rank`.
    pub alpha: f64,
    /// Of the adapter's inputs, the part that is dropped in training, 0 to below 1.
    pub dropout: f64,
    /// The matrices that are adapted. Absent: by the model's size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<Target>>,
    /// Highest learning rate. Absent: by the model's width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// How the learning rate goes after the warm-up.
    pub schedule: Schedule,
    /// Steps in which the learning rate rises from 0.
    pub warmup_steps: usize,
    /// Times that each sample is seen. Absent: by the tokens of the data, within a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Steps, at most; 0 is no limit.
    pub max_steps: usize,
    /// Tokens in a pack of samples, at most. A longer sample is left out and counted; a preference is as long as its
    /// prompt and both answers. Memory grows with it. Absent: the longest sample that the model has positions
    /// for, within a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pack_tokens: Option<usize>,
    /// Packs in a step.
    pub accumulation: usize,
    /// Norm that the gradient is clipped to; 0 is off.
    pub clip: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Steps between two evaluations; 0 evaluates after the last step alone.
    pub eval_every: usize,
    /// Validation samples in an evaluation, at most: of each kind its share, the same ones in every run, but for those that
    /// are too long for its packs.
    pub eval_samples: usize,
    /// Evaluations in a row without a lower loss after which training ends; the weights of the lowest loss are kept
    /// then. 0 trains to the end and keeps the last weights.
    pub patience: usize,
    /// Steps between two checkpoints; 0 writes none but the one at a stop.
    pub checkpoint_every: usize,
    /// Decides the adapter's first weights, the order of the samples and the dropout.
    pub seed: u64,
    /// How strongly a preference holds to the base model; only `dpo` uses it.
    pub dpo_beta: f64,
    /// `f32`, or `bf16` on a GPU.
    // Left out where it is what it was before there was a choice: recipes keep their hashes, and jobs their names.
    #[serde(skip_serializing_if = "Precision::is_single")]
    pub precision: Precision,
    /// Whether the adapter's output is scaled by `alpha / sqrt(rank)` instead, so that a higher rank learns as fast as a low
    /// one (rsLoRA, Kalajdzievski 2023, <https://arxiv.org/abs/2312.03732>). A learning rate that is left open is lower then,
    /// by the root of the rank.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rslora: bool,
    /// The learning rate of the matrices of attention, as a multiple of `learning_rate`.
    #[serde(skip_serializing_if = "is_one")]
    pub attention_rate: f64,
    /// The same of the MLP's matrices.
    #[serde(skip_serializing_if = "is_one")]
    pub mlp_rate: f64,
    /// Weight of the better answer's mean loss, nats per token, beside that of the preference; only `dpo` uses it. It keeps
    /// the better answer likely, where the difference alone lets both fall (Pang et al. 2024,
    /// <https://arxiv.org/abs/2404.19733>).
    #[serde(skip_serializing_if = "is_zero")]
    pub dpo_nll: f64,
    /// How much the tokens count by which an answer is longer than the one that it is compared with, above 0 to 1; only
    /// `dpo` uses it. Below 1, less is learned of length itself (LD-DPO, Liu et al. 2024,
    /// <https://arxiv.org/abs/2409.06411>).
    #[serde(skip_serializing_if = "is_one")]
    pub dpo_ld_alpha: f64,
    /// `sft`, then `dpo`: the second goes on with the adapter of the first. None: one stage, by `method`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
}

fn is_one(value: &f64) -> bool {
    *value == 1.0
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            method: Method::Sft,
            rank: 8,
            alpha: 16.0,
            dropout: 0.0,
            targets: None,
            learning_rate: None,
            schedule: Schedule::Linear,
            warmup_steps: 4,
            epochs: None,
            max_steps: 0,
            pack_tokens: None,
            accumulation: 1,
            clip: 1.0,
            weight_decay: 0.0,
            eval_every: 0,
            eval_samples: 64,
            patience: 0,
            checkpoint_every: 20,
            seed: 0,
            dpo_beta: 0.1,
            precision: Precision::default(),
            rslora: false,
            attention_rate: 1.0,
            mlp_rate: 1.0,
            dpo_nll: 0.0,
            dpo_ld_alpha: 1.0,
            stages: Vec::new(),
        }
    }
}

impl Recipe {
    /// Reads a recipe from TOML and checks it.
    ///
    /// # Errors
    /// Names the key that is unknown or out of range.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let recipe: Self =
            toml::from_str(text).map_err(|error| Error::Recipe { key: "toml", problem: error.to_string() })?;
        recipe.validate()?;
        Ok(recipe)
    }

    /// Reads a recipe from its canonical text and checks it.
    ///
    /// # Errors
    /// As [`Self::from_toml`].
    pub fn from_canonical(text: &str) -> Result<Self, Error> {
        let recipe: Self = serde_json::from_str(text).map_err(|error| Error::Text(error.to_string()))?;
        recipe.validate()?;
        Ok(recipe)
    }

    /// Reads a recipe as people write or repeat it: TOML, or the canonical text that they were shown.
    ///
    /// # Errors
    /// As [`Self::from_toml`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        // The canonical text is JSON, whose first character TOML does not begin with.
        if text.trim_start().starts_with('{') { Self::from_canonical(text) } else { Self::from_toml(text) }
    }

    /// Checks that each setting is in its range.
    ///
    /// # Errors
    /// Names the first key that is not.
    pub fn validate(&self) -> Result<(), Error> {
        at_least_one("rank", self.rank)?;
        at_least_one("epochs", self.epochs.unwrap_or(1))?;
        at_least_one("accumulation", self.accumulation)?;
        at_least_one("eval_samples", self.eval_samples)?;
        if self.pack_tokens.is_some_and(|tokens| tokens < 2) {
            return Err(Error::Recipe { key: "pack_tokens", problem: "must be at least 2".to_owned() });
        }
        above_zero("alpha", self.alpha)?;
        if let Some(rate) = self.learning_rate {
            above_zero("learning_rate", rate)?;
        }
        above_zero("dpo_beta", self.dpo_beta)?;
        not_negative("dpo_nll", self.dpo_nll)?;
        above_zero("dpo_ld_alpha", self.dpo_ld_alpha)?;
        if self.dpo_ld_alpha > 1.0 {
            return Err(Error::Recipe { key: "dpo_ld_alpha", problem: "must be at most 1".to_owned() });
        }
        not_negative("clip", self.clip)?;
        not_negative("weight_decay", self.weight_decay)?;
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::Recipe { key: "dropout", problem: "must be from 0 to below 1".to_owned() });
        }
        if let Some(targets) = &self.targets {
            if targets.is_empty() {
                return Err(Error::Recipe { key: "targets", problem: "must name at least one matrix".to_owned() });
            }
            if sorted(targets).len() != targets.len() {
                return Err(Error::Recipe { key: "targets", problem: "names a matrix twice".to_owned() });
            }
        }
        self.validate_rates()?;
        if self.patience > 0 && self.eval_every == 0 {
            let problem = "needs evaluations: set `eval_every`, or `patience` to 0".to_owned();
            return Err(Error::Recipe { key: "patience", problem });
        }
        self.validate_stages()
    }

    fn validate_rates(&self) -> Result<(), Error> {
        for (key, rate, is_of_attention) in
            [("attention_rate", self.attention_rate, true), ("mlp_rate", self.mlp_rate, false)]
        {
            above_zero(key, rate)?;
            let is_other =
                |targets: &Vec<Target>| targets.iter().all(|target| target.is_of_attention() != is_of_attention);
            if rate != 1.0 && self.targets.as_ref().is_some_and(is_other) {
                return Err(Error::Recipe {
                    key,
                    problem: "is set, and `targets` names none of its matrices".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// The text that a hash of the recipe is made over: JSON with the fields in a fixed order and the targets in the
    /// order of the computation, so that the same work has the same text however its TOML was written.
    pub fn canonical(&self) -> String {
        let sorted = Self { targets: self.targets.as_deref().map(sorted), ..self.clone() };
        serde_json::to_string(&sorted).expect("numbers, texts and lists are always JSON")
    }

    /// The learning rate of a matrix, as a multiple of the recipe's.
    pub fn rate_of(&self, target: Target) -> f64 {
        if target.is_of_attention() { self.attention_rate } else { self.mlp_rate }
    }

    /// By how much the adapter is scaled more than by `alpha / rank`.
    pub(crate) fn scale_ratio(&self) -> f64 {
        if self.rslora { (self.rank as f64).sqrt() } else { 1.0 }
    }

    /// `alpha / rank`, or with `rslora` `alpha / sqrt(rank)`.
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }
}

/// Targets in the order of the computation, each once.
pub(crate) fn sorted(targets: &[Target]) -> Vec<Target> {
    let mut targets = targets.to_vec();
    targets.sort();
    targets.dedup();
    targets
}

fn at_least_one(key: &'static str, value: usize) -> Result<(), Error> {
    if value == 0 { Err(Error::Recipe { key, problem: "must be at least 1".to_owned() }) } else { Ok(()) }
}

fn above_zero(key: &'static str, value: f64) -> Result<(), Error> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Error::Recipe { key, problem: format!("must be above 0, it is {value}") })
}

fn not_negative(key: &'static str, value: f64) -> Result<(), Error> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(Error::Recipe { key, problem: format!("must be 0 or more, it is {value}") })
}
