//! One update of AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2) of numbers in a row.
//!
//! On the processor each pass is shared among the threads and changes the numbers where they are. Elsewhere, GPUs
//! included, it is put together from candle's operations: they run on the tensors' device, a dozen for all numbers
//! together, beside which a kernel of our own would gain nothing.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::{Kernels, RewriteBy, RewriteByTwo};

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// Numbers that one thread takes at a time, at least.
const NUMBERS: usize = 4_096;

/// Numbers that are learned, with the running means of their gradients and of the gradients' squares; each `[numbers]`, in
/// single precision. No tensor shares its storage with another: they may be changed in place.
pub(crate) struct Learned {
    pub weights: Tensor,
    pub first: Tensor,
    pub second: Tensor,
}

/// How far an update goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Update {
    rate: f32,
    /// What decoupled decay leaves of a weight.
    kept: f32,
    first_correction: f32,
    second_correction: f32,
}

impl Update {
    /// The update of that number, from 1.
    pub fn new(number: u32, rate: f64, weight_decay: f64) -> Self {
        let correction = |beta: f32| (1.0 - f64::from(beta).powi(number as i32)) as f32;
        Self {
            rate: rate as f32,
            kept: 1.0 - (rate * weight_decay) as f32,
            first_correction: correction(BETA_1),
            second_correction: correction(BETA_2),
        }
    }
}

impl Learned {
    /// Updates the numbers against their gradient `[numbers]`.
    pub fn update(&mut self, kernels: Kernels, gradient: &Tensor, update: Update) -> Result<()> {
        if kernels == Kernels::Fused && gradient.device().is_cpu() {
            return self.update_in_place(gradient, update);
        }
        let blend = |mean: &Tensor, beta: f32, new: Tensor| (mean * f64::from(beta))? + (new * f64::from(1.0 - beta))?;
        let first = blend(&self.first, BETA_1, gradient.clone())?;
        let second = blend(&self.second, BETA_2, gradient.sqr()?)?;
        let size = ((&second / f64::from(update.second_correction))?.sqrt()? + f64::from(EPSILON))?;
        let direction = ((&first / f64::from(update.first_correction))? / size)?;
        let weights = ((&self.weights * f64::from(update.kept))? - (direction * f64::from(update.rate))?)?;
        *self = Self { weights, first, second };
        Ok(())
    }

    fn update_in_place(&self, gradient: &Tensor, update: Update) -> Result<()> {
        let blend = |beta: f32, new: fn(f32, f32) -> f32| {
            RewriteBy(move |means: &mut [f32], gradient: &[f32]| {
                let numbers = means.par_iter_mut().zip(gradient).with_min_len(NUMBERS);
                numbers.for_each(|(mean, gradient)| *mean = beta * *mean + new(1.0 - beta, *gradient));
            })
        };
        self.first.inplace_op2(gradient, &blend(BETA_1, |share, gradient| share * gradient))?;
        self.second.inplace_op2(gradient, &blend(BETA_2, |share, gradient| share * gradient * gradient))?;
        let Update { rate, kept, first_correction, second_correction } = update;
        let descend = RewriteByTwo(|weights: &mut [f32], first: &[f32], second: &[f32]| {
            let numbers = weights.par_iter_mut().zip(first).zip(second).with_min_len(NUMBERS);
            numbers.for_each(|((weight, first), second)| {
                let direction = first / first_correction / ((second / second_correction).sqrt() + EPSILON);
                *weight = *weight * kept - rate * direction;
            });
        });
        self.weights.inplace_op3(&self.first, &self.second, &descend)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    const COUNT: usize = 10_000;

    fn numbers(of: impl Fn(f64) -> f64) -> Vec<f64> {
        (0..COUNT).map(|index| of(index as f64)).collect()
    }

    fn tensor(values: &[f64]) -> Tensor {
        let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        Tensor::from_vec(values, COUNT, &Device::Cpu).unwrap()
    }

    /// Three updates by the paper's formula, in double precision.
    fn by_the_formula(gradients: &[Vec<f64>], rate: f64, decay: f64) -> Vec<f64> {
        let (beta_1, beta_2) = (f64::from(BETA_1), f64::from(BETA_2));
        let mut weights = numbers(|index| (index / 9.0).sin());
        let (mut first, mut second) = (vec![0.0_f64; COUNT], vec![0.0_f64; COUNT]);
        for (step, gradient) in gradients.iter().enumerate() {
            let power = step as i32 + 1;
            let means = first.iter_mut().zip(&mut second);
            for ((weight, g), (first, second)) in weights.iter_mut().zip(gradient).zip(means) {
                *first = beta_1 * *first + (1.0 - beta_1) * g;
                *second = beta_2 * *second + (1.0 - beta_2) * g * g;
                let mean = *first / (1.0 - beta_1.powi(power));
                let size = (*second / (1.0 - beta_2.powi(power))).sqrt();
                *weight -= rate * (mean / (size + f64::from(EPSILON)) + decay * *weight);
            }
        }
        weights
    }

    #[test]
    fn both_forms_give_the_numbers_of_the_formula() {
        let gradients: Vec<Vec<f64>> =
            [0.3, 1.7, 0.01].iter().map(|size| numbers(|index| size * (index * size).cos())).collect();
        let expected = by_the_formula(&gradients, 0.01, 0.1);
        for kernels in [Kernels::Fused, Kernels::Portable] {
            let zeros = || tensor(&vec![0.0; COUNT]);
            let weights = tensor(&numbers(|index| (index / 9.0).sin()));
            let mut learned = Learned { weights, first: zeros(), second: zeros() };
            for (step, gradient) in gradients.iter().enumerate() {
                let update = Update::new(step as u32 + 1, 0.01, 0.1);
                learned.update(kernels, &tensor(gradient), update).unwrap();
            }
            let found = learned.weights.to_vec1::<f32>().unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                assert!((f64::from(*found) - expected).abs() < 2e-6, "{kernels:?}: {found} is not {expected}");
            }
        }
    }
}
