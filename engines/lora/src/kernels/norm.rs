//! RMS normalisation (Zhang and Sennrich 2019, arXiv 1910.07467): `y = w x / sqrt(mean(x²) + eps)`.

use candle_core::{D, Result, Tensor};
use rayon::prelude::*;

use super::{Host, Kernels, ROWS, wide};

/// `x` `[rows, width]`, `weight` `[width]`.
pub(crate) fn rms_norm(kernels: Kernels, x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    if kernels == Kernels::Portable {
        let values = wide(x)?;
        let normed = values.broadcast_mul(&inverse_rms(&values, eps)?)?.broadcast_mul(&wide(weight)?)?;
        return normed.to_dtype(x.dtype());
    }
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return super::cuda::rms_norm(x, weight, eps);
    }
    let (x_host, weight_host) = (Host::of(x)?, Host::of(weight)?);
    let (values, weight) = (x_host.values()?, weight_host.values()?);
    let mut out = vec![0f32; rows * width];
    out.par_chunks_exact_mut(width).zip(values.par_chunks_exact(width)).with_min_len(ROWS).for_each(|(out, x)| {
        let scale = inverse_rms_of(x, eps);
        for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
            *out = x * scale * weight;
        }
    });
    Tensor::from_vec(out, (rows, width), x.device())
}

/// The gradient for `x`, given that for the result. The weight is frozen and has none.
pub(crate) fn rms_norm_backward(
    kernels: Kernels,
    x: &Tensor,
    weight: &Tensor,
    eps: f64,
    gradient: &Tensor,
) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    if kernels == Kernels::Portable {
        let values = wide(x)?;
        let scale = inverse_rms(&values, eps)?;
        let weighted = wide(gradient)?.broadcast_mul(&wide(weight)?)?;
        let dot = ((&values * &weighted)?.sum_keepdim(D::Minus1)? * (1.0 / width as f64))?;
        let correction = values.broadcast_mul(&(dot * scale.powf(3.0)?)?)?;
        return (weighted.broadcast_mul(&scale)? - correction)?.to_dtype(x.dtype());
    }
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return super::cuda::rms_norm_backward(x, weight, eps, gradient);
    }
    let (x_host, weight_host, gradient_host) = (Host::of(x)?, Host::of(weight)?, Host::of(gradient)?);
    let (values, weight, gradient) = (x_host.values()?, weight_host.values()?, gradient_host.values()?);
    let mut out = vec![0f32; rows * width];
    let rows_of = out.par_chunks_exact_mut(width).zip(values.par_chunks_exact(width));
    rows_of.zip(gradient.par_chunks_exact(width)).with_min_len(ROWS).for_each(|((out, x), gradient)| {
        let scale = inverse_rms_of(x, eps);
        for ((out, gradient), weight) in out.iter_mut().zip(gradient).zip(weight) {
            *out = gradient * weight;
        }
        let correction = dot(x, out) * scale * scale * scale / width as f32;
        for (out, x) in out.iter_mut().zip(x) {
            *out = *out * scale - x * correction;
        }
    });
    Tensor::from_vec(out, (rows, width), x.device())
}

fn inverse_rms(x: &Tensor, eps: f64) -> Result<Tensor> {
    (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?.recip()
}

fn inverse_rms_of(x: &[f32], eps: f64) -> f32 {
    1.0 / (dot(x, x) / x.len() as f32 + eps as f32).sqrt()
}

/// In eight sums, which the compiler keeps in one vector register. The order of the additions is fixed.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (a_blocks, b_blocks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a_blocks.remainder().iter().zip(b_blocks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_blocks.zip(b_blocks) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}
