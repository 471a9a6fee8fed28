//! What comes before the first step: the samples, read, and the recipe, settled by them; and what the run will be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use twin_training::{Fit, Method, Plan, Precision, Recipe, Settled, StagePlan, Target, Task};

use super::config::ModelConfig;
use super::data::{Read, Samples, Step, plan as steps_of, size, tokens_of};
use super::error::Error;
use super::lora::target_shape;
use super::template::ChatFormat;

/// A task whose samples are read.
pub(crate) struct Prepared {
    pub config: ModelConfig,
    /// The recipe with nothing left open.
    pub recipe: Recipe,
    /// In their order; one at least.
    pub stages: Vec<PreparedStage>,
}

/// A stage whose samples are read.
pub(crate) struct PreparedStage {
    /// The file of the samples to train on.
    pub train: PathBuf,
    pub settled: Settled,
    /// To train on.
    pub samples: Samples,
    /// To evaluate on, no more than the recipe says.
    pub validation: Samples,
    /// All steps.
    pub steps: Vec<Step>,
    /// Tokens of the longest sample, whether it fits or not.
    pub longest: usize,
}

/// Reads the samples and settles the recipe by them.
pub(crate) fn prepare(task: &Task) -> Result<Prepared, Error> {
    let config = ModelConfig::read(&task.base)?;
    let format = ChatFormat::read(&task.base)?;
    let recipes = task.recipe.by_stage();
    let files = files(task);
    if files.len() != recipes.len() {
        let problem = format!("are {}, and there are samples for {}", recipes.len(), files.len());
        return Err(twin_training::Error::Recipe { key: "stages", problem }.into());
    }
    let mut stages: Vec<PreparedStage> = Vec::new();
    for (recipe, files) in recipes.iter().zip(files) {
        let next = stage(recipe, stages.last().map(|before| &before.settled), files, &config, &format)?;
        stages.push(next);
    }
    let settled: Vec<Settled> = stages.iter().map(|stage| stage.settled.clone()).collect();
    Ok(Prepared { config, recipe: task.recipe.filled(&settled), stages })
}

/// The files of each stage: samples to train and to evaluate on.
fn files(task: &Task) -> Vec<(&Path, Option<&Path>)> {
    let first = (task.train.as_path(), task.validation.as_deref());
    let following = task.following.iter().map(|files| (files.train.as_path(), files.validation.as_deref()));
    std::iter::once(first).chain(following).collect()
}

fn stage(
    recipe: &Recipe,
    before: Option<&Settled>,
    (train, validation): (&Path, Option<&Path>),
    config: &ModelConfig,
    format: &ChatFormat,
) -> Result<PreparedStage, Error> {
    let read = Read::new(train, recipe.method, format)?;
    let held_out = match validation {
        Some(path) => Read::new(path, recipe.method, format)?,
        None => Read::nothing(),
    };
    let (lengths, held_out_lengths) = (read.lengths(), held_out.lengths());
    let longest = read.longest(config.max_tokens).max(held_out.longest(config.max_tokens));
    let shape = config.shape(number_bytes(recipe.precision));
    let settled = match before {
        Some(before) => recipe.settled_after(before, &shape, &lengths, &held_out_lengths),
        None => recipe.settled(&shape, &lengths, &held_out_lengths),
    };
    let mut samples = read.fitting(&settled, config.max_tokens);
    let steps = steps_of(&samples.items, &settled);
    samples.count_unseen(&steps);
    let drawn = held_out.drawn(recipe.eval_samples);
    let mut validation = held_out.fitting(&settled, config.max_tokens);
    validation.keep(&drawn);
    Ok(PreparedStage { train: train.to_owned(), settled, samples, validation, steps, longest })
}

/// What the run will be.
pub(crate) fn plan(task: &Task) -> Result<Plan, Error> {
    task.recipe.validate()?;
    let Prepared { config, recipe: _, mut stages } = prepare(task)?;
    for stage in &mut stages {
        if stage.settled.most_tokens.is_some() {
            stage.settled.recipe.max_steps = stage.steps.len();
        }
    }
    let settled: Vec<Settled> = stages.iter().map(|stage| stage.settled.clone()).collect();
    let recipe = task.recipe.filled(&settled);
    let plans: Vec<StagePlan> = stages.iter().map(|stage| stage.plan(&config)).collect();
    let sum = |of: fn(&StagePlan) -> u64| -> u64 { plans.iter().map(of).sum() };
    Ok(Plan {
        samples: plans.iter().fold(BTreeMap::new(), |all, stage| together(&all, &stage.samples)),
        longest: plans[0].longest,
        limit: plans[0].limit,
        positions: plans[0].positions,
        steps: sum(|stage| stage.steps),
        tokens: sum(|stage| stage.tokens),
        evaluation_tokens: sum(|stage| stage.evaluation_tokens),
        memory_bytes: stages.iter().map(|stage| stage.memory(&config)).max().unwrap_or(0),
        parameters: config.shape(number_bytes(recipe.precision)).parameters,
        stages: if plans.len() > 1 { plans } else { Vec::new() },
        recipe,
    })
}

impl PreparedStage {
    fn plan(&self, config: &ModelConfig) -> StagePlan {
        let Self { settled, samples, validation, steps, .. } = self;
        let recipe = &settled.recipe;
        let tokens: usize = steps.iter().map(|step| tokens_of(&samples.items, step)).sum();
        let evaluation = tokens_of(&validation.items, &validation.packs(settled.pack_tokens));
        let positions = match recipe.method {
            Method::Sft => config.max_tokens,
            Method::Dpo => config.max_tokens.saturating_mul(2),
        };
        StagePlan {
            method: recipe.method,
            samples: self.fit(),
            longest: self.longest as u64,
            limit: settled.pack_tokens.min(positions) as u64,
            positions: positions as u64,
            steps: steps.len() as u64,
            tokens: tokens as u64,
            evaluation_tokens: (evaluation * evaluations(recipe, steps.len()) + self.read_by_the_frozen()) as u64,
        }
    }

    /// Tokens of preferences that the frozen model reads, each once.
    fn read_by_the_frozen(&self) -> usize {
        let Self { settled, samples, validation, steps, .. } = self;
        if settled.recipe.method != Method::Dpo {
            return 0;
        }
        let used: BTreeSet<usize> = steps.iter().flatten().flatten().copied().collect();
        let of_steps = used.into_iter().map(|item| size(&samples.items[item]));
        of_steps.chain(validation.items.iter().map(size)).sum()
    }

    /// The samples of both files by kind.
    pub fn fit(&self) -> BTreeMap<String, Fit> {
        together(&self.samples.fit, &self.validation.fit)
    }

    /// What the weights, the adapter with its optimizer, and a pack take at once.
    fn memory(&self, config: &ModelConfig) -> u64 {
        let settled = &self.settled;
        let bytes = number_bytes(settled.recipe.precision);
        let shape = config.shape(bytes);
        let adapted = |target: &Target| {
            let (rows, columns) = target_shape(config, *target);
            settled.recipe.rank * (rows + columns)
        };
        let adapter = config.layers * settled.targets.iter().map(adapted).sum::<usize>();
        // The numbers, their gradient by matrices and in rows, and the two of the optimizer; copies of the best weights and of
        // those that the stage began with.
        let adapter_bytes = 7 * adapter * size_of::<f32>();
        let longest = self.longest.min(settled.pack_tokens).min(config.max_tokens);
        shape.parameters * bytes as u64
            + adapter_bytes as u64
            + settled.pack_tokens as u64 * shape.token_bytes
            + config.passing_bytes(longest, bytes)
    }
}

/// Evaluations of a stage: before the first step, after the last, and as often between them as the recipe says.
fn evaluations(recipe: &Recipe, steps: usize) -> usize {
    let between = match recipe.eval_every {
        0 => 0,
        every => steps.saturating_sub(1) / every,
    };
    2 + between
}

fn number_bytes(precision: Precision) -> usize {
    match precision {
        Precision::F32 => 4,
        Precision::Bf16 => 2,
    }
}

/// The counts of two files.
pub(crate) fn together(one: &BTreeMap<String, Fit>, other: &BTreeMap<String, Fit>) -> BTreeMap<String, Fit> {
    let mut all = one.clone();
    for (kind, fit) in other {
        let counted = all.entry(kind.clone()).or_default();
        counted.read += fit.read;
        counted.too_long += fit.too_long;
        counted.unseen += fit.unseen;
    }
    all
}
