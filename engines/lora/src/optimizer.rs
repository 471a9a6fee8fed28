//! AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) on the host's memory.
//!
//! candle's own keeps its moments to itself, so that they could not go into a checkpoint.

use rayon::prelude::*;

use super::lora::Adapter;

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// The state: running means of the gradients and of their squares.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW {
    /// Updates done.
    pub(crate) updates: u32,
    /// For each parameter, as its values.
    pub(crate) first: Vec<Vec<f32>>,
    /// For each parameter, as its values.
    pub(crate) second: Vec<Vec<f32>>,
}

impl AdamW {
    /// The state before the first update.
    pub fn new(adapter: &Adapter) -> Self {
        let zeros = || adapter.parameters.iter().map(|parameter| vec![0.0; parameter.values.len()]).collect();
        Self { updates: 0, first: zeros(), second: zeros() }
    }

    /// Moves the adapter's parameters against the gradients, which have the form of their values.
    pub fn update(&mut self, adapter: &mut Adapter, gradients: &[Vec<f32>], learning_rate: f64, weight_decay: f64) {
        self.updates += 1;
        let correction = |beta: f32| (1.0 - f64::from(beta).powi(self.updates as i32)) as f32;
        let (first_correction, second_correction) = (correction(BETA_1), correction(BETA_2));
        let rate = learning_rate as f32;
        let kept = 1.0 - (learning_rate * weight_decay) as f32;
        let moments = self.first.par_iter_mut().zip(&mut self.second);
        let parameters = adapter.parameters.par_iter_mut().zip(gradients);
        parameters.zip(moments).for_each(|((parameter, gradient), (first, second))| {
            let numbers = parameter.values.iter_mut().zip(gradient);
            for ((value, g), (first, second)) in numbers.zip(first.iter_mut().zip(second)) {
                *first = BETA_1 * *first + (1.0 - BETA_1) * g;
                *second = BETA_2 * *second + (1.0 - BETA_2) * g * g;
                let direction = *first / first_correction / ((*second / second_correction).sqrt() + EPSILON);
                *value = *value * kept - rate * direction;
            }
        });
    }
}

/// Scales the gradients so that their norm over all parameters is `limit` at most (0 is no limit). The norm before.
pub fn clip(gradients: &mut [Vec<f32>], limit: f64) -> f64 {
    let squares = |gradient: &Vec<f32>| gradient.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
    // Each matrix by itself, so that the order of the additions does not depend on the threads.
    let by_matrix: Vec<f64> = gradients.par_iter().map(squares).collect();
    let norm = by_matrix.iter().sum::<f64>().sqrt();
    if limit > 0.0 && norm > limit {
        let scale = (limit / norm) as f32;
        gradients.par_iter_mut().for_each(|gradient| gradient.iter_mut().for_each(|value| *value *= scale));
    }
    norm
}
