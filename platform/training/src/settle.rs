//! What a recipe leaves open, decided by the base model and the data.
//!
//! The rules were set by runs of a model of 135 million parameters on two processor cores, where 150 steps of 1,400 tokens
//! taught an author's voice, citations and refusals in 21 minutes, and scale from there.

use crate::recipe::sorted;
use crate::{Method, Recipe, Target};

/// Parameters up to which all matrices are adapted. Beyond, queries and values alone: the others take two thirds of the
/// time again.
const ADAPTED_WHOLE: u64 = 4_000_000_000;

/// The rate of a model that is [`WIDTH`] wide, and how it falls with the width: form and exponent are those that Thinking
/// Machines fitted to models of the Llama family ("LoRA Without Regret", 2025). It gives 8e-4 for a width of 576.
const RATE: f64 = 3e-4;
const WIDTH: f64 = 2_000.0;
const RATE_EXPONENT: f64 = 0.781;

/// By how much less preferences are learned than completions: each pair moves the model away from its own answers.
const PREFERENCE_RATE: f64 = 0.1;

/// Tokens of a pack: short samples share one, so that a step is worth its while; and however long samples are, there are
/// steps enough in what is trained on.
const LEAST_PACK: usize = 512;
const MOST_PACK: usize = 4_096;
/// A pack's length is a multiple of this.
const PACK_STEP: usize = 64;

/// Memory for what a step keeps of its tokens, bytes.
const MEMORY: u64 = 8 << 30;

/// How long it goes on.
struct Length {
    /// Times that each sample is seen, at least and at most: more where there are few samples, so that there are `steps`.
    epochs: (usize, usize),
    steps: usize,
    /// Tokens after which training ends.
    tokens: usize,
}

/// A run, or the first stage of one.
const FROM_THE_BASE: Length = Length { epochs: (3, 8), steps: 100, tokens: MOST_TOKENS };
/// A stage of preferences on what another has learned: it is to choose among what the model says already, and each further
/// step takes it away from that.
const AFTER_ANOTHER: Length = Length { epochs: (1, 3), steps: 30, tokens: MOST_TOKENS / 4 };

/// Tokens after which training ends: a model of 135 million parameters takes most of an hour for them on two processor
/// cores. Samples whose turn does not come by then are counted; `epochs` or `max_steps` of the recipe let it go on.
const MOST_TOKENS: usize = 400_000;

/// What of a base model decides how it is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Numbers in all of its weights.
    pub parameters: u64,
    /// Tokens in one sequence, at most.
    pub max_tokens: usize,
    /// What a step keeps of each token, bytes.
    pub token_bytes: u64,
}

/// A recipe in which nothing is left open.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The recipe with the settings below filled in.
    pub recipe: Recipe,
    /// The matrices that are adapted, in the order of the computation.
    pub targets: Vec<Target>,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Times that each sample is seen.
    pub epochs: usize,
    /// Tokens in a pack, at most.
    pub pack_tokens: usize,
    /// Tokens trained on in all, at most; none where the recipe itself says how long it goes on.
    pub most_tokens: Option<usize>,
}

impl Recipe {
    /// The recipe, of one stage, for a base model, samples to train on of these `lengths`, and others that are held out;
    /// tokens (of a preference: of the prompt and both answers). What it names stays as it is.
    pub fn settled(&self, shape: &Shape, lengths: &[usize], held_out: &[usize]) -> Settled {
        let learning_rate = self.learning_rate.unwrap_or_else(|| rate(self.method, shape, self.scale_ratio()));
        self.settled_by(&FROM_THE_BASE, learning_rate, shape, lengths, held_out)
    }

    /// The recipe of a stage that goes on where one that was settled as `before` has ended: at a tenth of its rate, and for
    /// few steps.
    pub fn settled_after(&self, before: &Settled, shape: &Shape, lengths: &[usize], held_out: &[usize]) -> Settled {
        let learning_rate = self.learning_rate.unwrap_or_else(|| two_digits(before.learning_rate * PREFERENCE_RATE));
        // It is the same adapter.
        let recipe = Self { targets: Some(before.targets.clone()), ..self.clone() };
        recipe.settled_by(&AFTER_ANOTHER, learning_rate, shape, lengths, held_out)
    }

    fn settled_by(
        &self,
        length: &Length,
        learning_rate: f64,
        shape: &Shape,
        lengths: &[usize],
        held_out: &[usize],
    ) -> Settled {
        let targets = self.targets_for(shape);
        let pack_tokens = self.pack_tokens.unwrap_or_else(|| pack(self.method, shape, lengths.iter().chain(held_out)));
        let fitting: usize = lengths.iter().filter(|length| **length <= pack_tokens).sum();
        let epochs = self.epochs.unwrap_or_else(|| length.epochs_of(fitting, pack_tokens * self.accumulation));
        let is_open = self.epochs.is_none() && self.max_steps == 0;
        let recipe = Self {
            targets: Some(targets.clone()),
            learning_rate: Some(learning_rate),
            epochs: Some(epochs),
            pack_tokens: Some(pack_tokens),
            ..self.clone()
        };
        let most_tokens = is_open.then_some(length.tokens);
        Settled { recipe, targets, learning_rate, epochs, pack_tokens, most_tokens }
    }

    /// The matrices that are adapted of such a model, in the order of the computation.
    pub fn targets_for(&self, shape: &Shape) -> Vec<Target> {
        match &self.targets {
            Some(targets) => sorted(targets),
            None if shape.parameters <= ADAPTED_WHOLE => Target::ALL.to_vec(),
            None => vec![Target::QProj, Target::VProj],
        }
    }
}

/// The rate was measured with the scale `alpha / rank`: an adapter that is scaled by more has as much less.
fn rate(method: Method, shape: &Shape, scale_ratio: f64) -> f64 {
    let rate = RATE * (WIDTH / shape.hidden.max(1) as f64).powf(RATE_EXPONENT) / scale_ratio;
    let rate = match method {
        Method::Sft => rate,
        Method::Dpo => rate * PREFERENCE_RATE,
    };
    two_digits(rate)
}

/// So that a recipe can be read and written down again.
fn two_digits(rate: f64) -> f64 {
    format!("{rate:.1e}").parse().unwrap_or(rate)
}

/// The longest sample that fits the model and the memory.
fn pack<'a>(method: Method, shape: &Shape, lengths: impl Iterator<Item = &'a usize>) -> usize {
    // A preference is two sequences, each with positions of its own.
    let positions = match method {
        Method::Sft => shape.max_tokens,
        Method::Dpo => shape.max_tokens.saturating_mul(2),
    };
    let memory = usize::try_from(MEMORY / shape.token_bytes.max(1)).unwrap_or(usize::MAX);
    let most = positions.min(memory).clamp(2, MOST_PACK);
    let longest = lengths.copied().max().unwrap_or(0).max(LEAST_PACK);
    longest.next_multiple_of(PACK_STEP).min(most)
}

impl Length {
    fn epochs_of(&self, tokens: usize, step: usize) -> usize {
        let (least, most) = self.epochs;
        (self.steps * step).div_ceil(tokens.max(1)).clamp(least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SmolLM2-135M.
    const SMALL: Shape = Shape { hidden: 576, parameters: 134_515_008, max_tokens: 8_192, token_bytes: 691_200 };
    /// Mistral-7B in single precision.
    const LARGE: Shape = Shape { hidden: 4_096, parameters: 7_241_732_096, max_tokens: 4_096, token_bytes: 6_029_312 };

    #[test]
    fn the_longest_prompt_of_serving_fits_and_the_rest_follows_from_the_model_and_the_tokens() {
        let lengths: Vec<usize> = (0..400).map(|sample| if sample % 2 == 0 { 210 } else { 1_380 }).collect();
        let settled = Recipe::default().settled(&SMALL, &lengths, &[1_400]);
        assert_eq!((settled.pack_tokens, settled.learning_rate), (1_408, 7.9e-4));
        assert_eq!((settled.targets.as_slice(), settled.epochs), (&Target::ALL[..], 3));
        assert_eq!(settled.most_tokens, Some(MOST_TOKENS));
        // Written down and settled again it is the same.
        assert_eq!(settled.recipe.settled(&LARGE, &[], &[]).recipe, settled.recipe);
    }

    #[test]
    fn a_larger_model_has_a_lower_rate_and_fewer_targets_and_short_packs_where_memory_ends() {
        let settled = Recipe::default().settled(&LARGE, &[900, 3_000], &[]);
        assert!(settled.learning_rate < 2e-4, "{settled:?}");
        assert_eq!(settled.targets, [Target::QProj, Target::VProj]);
        assert_eq!(settled.pack_tokens as u64, MEMORY / LARGE.token_bytes);
        let preferences = Recipe { method: Method::Dpo, ..Recipe::default() }.settled(&SMALL, &[3_000], &[]);
        assert!(preferences.learning_rate < 1e-4 && preferences.pack_tokens == 3_008, "{preferences:?}");
    }

    #[test]
    fn an_adapter_that_is_scaled_by_more_has_as_much_a_lower_rate_unless_it_names_one() {
        let rate = |recipe: Recipe| recipe.settled(&SMALL, &[500; 400], &[]).learning_rate;
        let stable = Recipe { rank: 16, rslora: true, ..Recipe::default() };
        assert_eq!(rate(Recipe { rslora: false, ..stable.clone() }), 7.9e-4);
        assert_eq!(rate(stable.clone()), 2e-4, "a fourth: the root of 16");
        assert_eq!(rate(Recipe { learning_rate: Some(8e-4), ..stable }), 8e-4);
    }

    #[test]
    fn few_samples_are_seen_more_often_and_never_without_end() {
        let epochs = |samples: usize| Recipe::default().settled(&SMALL, &vec![100; samples], &[]).epochs;
        assert_eq!((epochs(40), epochs(100), epochs(10_000)), (8, 6, 3));
    }

    #[test]
    fn preferences_after_another_stage_have_a_tenth_of_its_rate_its_targets_and_few_steps() {
        let first = Recipe::default().settled(&SMALL, &[500; 400], &[]);
        let recipe = Recipe { method: Method::Dpo, ..Recipe::default() };
        let settled = |pairs: usize| recipe.settled_after(&first, &SMALL, &vec![1_000; pairs], &[]);
        assert_eq!((settled(40).learning_rate, &settled(40).targets), (7.9e-5, &first.targets));
        assert_eq!((settled(10).epochs, settled(20).epochs, settled(200).epochs), (3, 2, 1));
        assert_eq!((settled(40).most_tokens, settled(9_000).most_tokens), (Some(100_000), Some(100_000)));
        // On another model than the first was settled for, whose targets would be fewer, they are those of the first.
        assert_eq!(recipe.settled_after(&first, &LARGE, &[900], &[]).targets, first.targets);
        let named = Recipe { learning_rate: Some(1e-6), ..recipe.clone() }.settled_after(&first, &SMALL, &[900], &[]);
        assert_eq!(named.learning_rate, 1e-6);
        // Written down and settled again it is the same.
        assert_eq!(settled(40).recipe.settled_after(&first, &LARGE, &[], &[]).recipe, settled(40).recipe);
    }

    #[test]
    fn what_a_recipe_names_is_not_touched() {
        let recipe = Recipe {
            targets: Some(vec![Target::VProj]),
            learning_rate: Some(1e-3),
            epochs: Some(2),
            pack_tokens: Some(256),
            ..Recipe::default()
        };
        let settled = recipe.settled(&SMALL, &[1_380], &[]);
        assert_eq!((settled.recipe, settled.most_tokens), (recipe.clone(), None));
        let bounded = Recipe { epochs: None, max_steps: 30, ..recipe }.settled(&SMALL, &[100], &[]);
        assert_eq!((bounded.recipe.max_steps, bounded.most_tokens), (30, None));
    }
}
