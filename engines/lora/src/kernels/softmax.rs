//! The softmax of causal attention: a token sees itself and the tokens before it. Some of these may be keys alone: of a
//! beginning that is computed elsewhere.

use candle_core::{D, Device, Result, Tensor};
use rayon::prelude::*;

use super::exp::exp;
use super::{Kernels, ROWS, Rewrite, RewriteBy, wide};

/// The attention weights of scores `[batch, rows, before + tokens]`, whose rows are one or more times all `tokens` in their
/// order; each of these sees all of the `before` others. The scores are multiplied by `scale` first. `scores` may be changed in
/// place.
pub(crate) fn causal_softmax(kernels: Kernels, scores: Tensor, before: usize, scale: f64) -> Result<Tensor> {
    let (_, _, keys) = scores.dims3()?;
    let tokens = keys - before;
    if kernels == Kernels::Portable {
        // `rows` is a multiple of `tokens`: one mask of a sequence fits all.
        let sequences = wide(&scores)?.reshape(((), tokens, keys))?;
        let masked = (sequences * scale)?.broadcast_add(&mask(before, keys, scores.device())?)?;
        let powers = masked.broadcast_sub(&masked.max_keepdim(D::Minus1)?)?.exp()?;
        let weights = powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?;
        return weights.to_dtype(scores.dtype())?.reshape(scores.shape());
    }
    #[cfg(feature = "cuda")]
    if scores.device().is_cuda() {
        return super::cuda::causal_softmax(scores, before, scale);
    }
    let scale = scale as f32;
    scores.inplace_op1(&Rewrite(|scores: &mut [f32]| {
        scores.par_chunks_exact_mut(keys).enumerate().with_min_len(ROWS).for_each(|(row, scores)| {
            // `rows` is a multiple of `tokens`, so that the place in the sequence does not depend on the batch.
            let (seen, hidden) = scores.split_at_mut(before + row % tokens + 1);
            let highest = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            for score in seen.iter_mut() {
                *score = exp((*score - highest) * scale);
            }
            let inverse = 1.0 / seen.iter().sum::<f32>();
            for weight in seen.iter_mut() {
                *weight *= inverse;
            }
            hidden.fill(0.0);
        });
    }))?;
    Ok(scores)
}

/// The gradient for the scores, given the attention weights and the gradient for them, which may be changed in place.
pub(crate) fn causal_softmax_backward(
    kernels: Kernels,
    weights: &Tensor,
    gradient: Tensor,
    before: usize,
    scale: f64,
) -> Result<Tensor> {
    let (_, _, keys) = weights.dims3()?;
    let tokens = keys - before;
    if kernels == Kernels::Portable {
        let (values, gradient) = (wide(weights)?, wide(&gradient)?);
        let mean = (&values * &gradient)?.sum_keepdim(D::Minus1)?;
        return ((values * gradient.broadcast_sub(&mean)?)? * scale)?.to_dtype(weights.dtype());
    }
    #[cfg(feature = "cuda")]
    if weights.device().is_cuda() {
        return super::cuda::causal_softmax_backward(weights, gradient, before, scale);
    }
    let scale = scale as f32;
    gradient.inplace_op2(
        weights,
        &RewriteBy(|gradient: &mut [f32], weights: &[f32]| {
            let rows = gradient.par_chunks_exact_mut(keys).zip(weights.par_chunks_exact(keys));
            rows.enumerate().with_min_len(ROWS).for_each(|(row, (gradient, weights))| {
                let (seen, hidden) = gradient.split_at_mut(before + row % tokens + 1);
                let mean: f32 = seen.iter().zip(weights).map(|(gradient, weight)| gradient * weight).sum();
                for (gradient, weight) in seen.iter_mut().zip(weights) {
                    *gradient = (*gradient - mean) * weight * scale;
                }
                hidden.fill(0.0);
            });
        }),
    )?;
    Ok(gradient)
}

/// `[keys - before, keys]`: 0 where a row's token sees a token, minus infinity elsewhere.
fn mask(before: usize, keys: usize, device: &Device) -> Result<Tensor> {
    let places = Tensor::arange(0u32, keys as u32, device)?;
    let rows = places.narrow(0, before, keys - before)?;
    let hidden = rows.unsqueeze(1)?.broadcast_lt(&places.unsqueeze(0)?)?;
    let infinity = Tensor::full(f32::NEG_INFINITY, (keys - before, keys), device)?;
    hidden.where_cond(&infinity, &infinity.zeros_like()?)
}
