//! What comes before the first step: the samples, read, and the recipe, settled by them; and what the run will be.

use std::collections::BTreeMap;

use twin_training::{Fit, Method, Plan, Precision, Recipe, Settled, Target, Task};

use super::config::ModelConfig;
use super::data::{Read, Samples, Step, plan as steps_of, size, tokens_of};
use super::error::Error;
use super::lora::target_shape;
use super::template::ChatFormat;

/// A task whose samples are read.
pub(crate) struct Prepared {
    pub config: ModelConfig,
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
    let method = task.recipe.method;
    let train = Read::new(&task.train, method, &format)?;
    let validation = match &task.validation {
        Some(path) => Read::new(path, method, &format)?,
        None => Read::nothing(),
    };
    let (lengths, held_out) = (train.lengths(), validation.lengths());
    let longest = lengths.iter().chain(&held_out).copied().max().unwrap_or(0);
    let shape = config.shape(number_bytes(task.recipe.precision));
    let settled = task.recipe.settled(&shape, &lengths, &held_out);
    let mut samples = train.fitting(&settled, config.max_tokens);
    let steps = steps_of(&samples.items, &settled);
    samples.count_unseen(&steps);
    let mut validation = validation.fitting(&settled, config.max_tokens);
    validation.keep(task.recipe.eval_samples);
    Ok(Prepared { config, settled, samples, validation, steps, longest })
}

/// What the run will be.
pub(crate) fn plan(task: &Task) -> Result<Plan, Error> {
    task.recipe.validate()?;
    let Prepared { config, settled, samples, validation, steps, longest } = prepare(task)?;
    let tokens: usize = steps.iter().map(|step| tokens_of(&samples.items, step)).sum();
    let evaluation: usize = validation.items.iter().map(size).sum();
    let mut recipe = settled.recipe.clone();
    if settled.most_tokens.is_some() {
        recipe.max_steps = steps.len();
    }
    let positions = match recipe.method {
        Method::Sft => config.max_tokens,
        Method::Dpo => config.max_tokens.saturating_mul(2),
    };
    let parameters = config.shape(number_bytes(recipe.precision)).parameters;
    Ok(Plan {
        samples: together(&samples.fit, &validation.fit),
        longest: longest as u64,
        limit: settled.pack_tokens.min(positions) as u64,
        positions: positions as u64,
        steps: steps.len() as u64,
        tokens: tokens as u64,
        evaluation_tokens: (evaluation * evaluations(&recipe, steps.len())) as u64,
        memory_bytes: memory(&config, &settled, longest),
        parameters,
        recipe,
    })
}

/// Evaluations of a run: before the first step, after the last, and as often between them as the recipe says.
fn evaluations(recipe: &Recipe, steps: usize) -> usize {
    let between = match recipe.eval_every {
        0 => 0,
        every => steps.saturating_sub(1) / every,
    };
    2 + between
}

/// What the weights, the adapter with its optimizer, and a pack take at once.
fn memory(config: &ModelConfig, settled: &Settled, longest: usize) -> u64 {
    let bytes = number_bytes(settled.recipe.precision);
    let shape = config.shape(bytes);
    let adapted = |target: &Target| {
        let (rows, columns) = target_shape(config, *target);
        settled.recipe.rank * (rows + columns)
    };
    let adapter = config.layers * settled.targets.iter().map(adapted).sum::<usize>();
    // The numbers, their gradient and the two of the optimizer; copies of the best weights and for the device.
    let adapter_bytes = 6 * adapter * size_of::<f32>();
    let longest = longest.min(settled.pack_tokens).min(config.max_tokens);
    shape.parameters * bytes as u64
        + adapter_bytes as u64
        + settled.pack_tokens as u64 * shape.token_bytes
        + config.passing_bytes(longest, bytes)
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
