//! The learning rate of each step.

use twin_training::{Schedule, Settled};

/// The learning rate of a step (from 0) of a run of `steps`.
pub(crate) fn learning_rate(settled: &Settled, step: usize, steps: usize) -> f64 {
    let Settled { recipe, learning_rate: highest, .. } = settled;
    if step < recipe.warmup_steps {
        return highest * (step + 1) as f64 / recipe.warmup_steps as f64;
    }
    let after = (step - recipe.warmup_steps) as f64;
    let progress = after / (steps.saturating_sub(recipe.warmup_steps)).max(1) as f64;
    let share = match recipe.schedule {
        Schedule::Constant => 1.0,
        Schedule::Linear => 1.0 - progress,
        Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
    };
    highest * share
}
