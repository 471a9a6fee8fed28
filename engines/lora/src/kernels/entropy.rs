//! The negative log-likelihood of tokens, in nats.

use candle_core::{D, Device, Result, Tensor};
use rayon::prelude::*;

use super::exp::exp;
use super::{Host, Kernels, Rewrite, wide};

/// `-ln p(target)` of each row of `logits` `[rows, vocabulary]`.
pub(crate) fn cross_entropy(kernels: Kernels, logits: &Tensor, targets: &[u32]) -> Result<Vec<f32>> {
    let (rows, vocabulary) = logits.dims2()?;
    if kernels == Kernels::Portable {
        let logits = wide(logits)?;
        let highest = logits.max_keepdim(D::Minus1)?;
        let sum = logits.broadcast_sub(&highest)?.exp()?.sum_keepdim(D::Minus1)?;
        let index = Tensor::new(targets, &Device::Cpu)?.to_device(logits.device())?.reshape((rows, 1))?;
        let chosen = logits.contiguous()?.gather(&index, 1)?;
        return ((sum.log()? + highest)? - chosen)?.flatten_all()?.to_vec1();
    }
    #[cfg(feature = "cuda")]
    if logits.device().is_cuda() {
        return super::cuda::cross_entropy(logits, targets);
    }
    let host = Host::of(logits)?;
    let rows = host.values()?.par_chunks_exact(vocabulary).zip(targets);
    Ok(rows.map(|(logits, target)| log_of_sum(logits) - logits[*target as usize]).collect())
}

/// The losses as [`cross_entropy`] gives them, and the gradient for the logits where each row's loss counts
/// `factors[row]` times. `logits` may be changed in place.
pub(crate) fn cross_entropy_backward(
    kernels: Kernels,
    logits: Tensor,
    targets: &[u32],
    factors: &[f32],
) -> Result<(Vec<f32>, Tensor)> {
    let losses = cross_entropy(kernels, &logits, targets)?;
    let (rows, vocabulary) = logits.dims2()?;
    if kernels == Kernels::Portable {
        let (device, values) = (logits.device(), wide(&logits)?);
        let shifted = values.broadcast_sub(&values.max_keepdim(D::Minus1)?)?.exp()?;
        let probabilities = shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?;
        let index = Tensor::new(targets, &Device::Cpu)?.to_device(device)?.reshape((rows, 1))?;
        let ones = Tensor::full(-1f32, (rows, 1), device)?;
        let difference = probabilities.contiguous()?.scatter_add(&index, &ones, 1)?;
        let factors = Tensor::new(factors, &Device::Cpu)?.to_device(device)?.reshape((rows, 1))?;
        return Ok((losses, difference.broadcast_mul(&factors)?.to_dtype(logits.dtype())?));
    }
    #[cfg(feature = "cuda")]
    if logits.device().is_cuda() {
        super::cuda::cross_entropy_backward(&logits, targets, factors)?;
        return Ok((losses, logits));
    }
    logits.inplace_op1(&Rewrite(|logits: &mut [f32]| {
        let rows = logits.par_chunks_exact_mut(vocabulary).zip(&losses).zip(targets).zip(factors);
        rows.for_each(|(((logits, loss), target), factor)| {
            let total = loss + logits[*target as usize];
            for logit in logits.iter_mut() {
                *logit = exp(*logit - total) * factor;
            }
            logits[*target as usize] -= factor;
        });
    }))?;
    Ok((losses, logits))
}

fn log_of_sum(logits: &[f32]) -> f32 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0f32; 8];
    let blocks = logits.chunks_exact(8);
    let rest: f32 = blocks.remainder().iter().map(|logit| exp(logit - highest)).sum();
    for block in blocks {
        for lane in 0..8 {
            sums[lane] += exp(block[lane] - highest);
        }
    }
    (sums.iter().sum::<f32>() + rest).ln() + highest
}
