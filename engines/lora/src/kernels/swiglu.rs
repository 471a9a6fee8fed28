//! The gated unit of the MLP (Shazeer 2020, arXiv 2002.05202): `silu(gate) up`.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::exp::exp;
use super::{Host, Kernels, ROWS, wide};

/// `both` `[rows, 2 width]` holds gate and up side by side; the result is `[rows, width]`.
pub(crate) fn swiglu(kernels: Kernels, both: &Tensor) -> Result<Tensor> {
    let (rows, columns) = both.dims2()?;
    let width = columns / 2;
    if kernels == Kernels::Portable {
        let (gate, up) = halves(both)?;
        return (gate.silu()? * up)?.to_dtype(both.dtype());
    }
    #[cfg(feature = "cuda")]
    if both.device().is_cuda() {
        return super::cuda::swiglu(both);
    }
    let host = Host::of(both)?;
    let mut out = vec![0f32; rows * width];
    let input = host.values()?.par_chunks_exact(columns);
    out.par_chunks_exact_mut(width).zip(input).with_min_len(ROWS).for_each(|(out, both)| {
        let (gate, up) = both.split_at(width);
        for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
            *out = gate / (1.0 + exp(-gate)) * up;
        }
    });
    Tensor::from_vec(out, (rows, width), both.device())
}

/// The gradient for `both`, given that for the result.
pub(crate) fn swiglu_backward(kernels: Kernels, both: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let (rows, columns) = both.dims2()?;
    let width = columns / 2;
    if kernels == Kernels::Portable {
        let (gate, up) = halves(both)?;
        let gradient = &wide(gradient)?;
        let sigmoid = ((gate.neg()?.exp()? + 1.0)?).recip()?;
        let silu = (&gate * &sigmoid)?;
        let slope = (&sigmoid + (&silu * (1.0 - &sigmoid)?)?)?;
        return Tensor::cat(&[(gradient * (up * slope)?)?, (gradient * silu)?], 1)?.to_dtype(both.dtype());
    }
    #[cfg(feature = "cuda")]
    if both.device().is_cuda() {
        return super::cuda::swiglu_backward(both, gradient);
    }
    let (host, gradient_host) = (Host::of(both)?, Host::of(gradient)?);
    let mut out = vec![0f32; rows * columns];
    let input = host.values()?.par_chunks_exact(columns).zip(gradient_host.values()?.par_chunks_exact(width));
    out.par_chunks_exact_mut(columns).zip(input).with_min_len(ROWS).for_each(|(out, (both, gradient))| {
        let (gate, up) = both.split_at(width);
        let (gate_out, up_out) = out.split_at_mut(width);
        for index in 0..width {
            let (gate, up, gradient) = (gate[index], up[index], gradient[index]);
            let sigmoid = 1.0 / (1.0 + exp(-gate));
            let silu = gate * sigmoid;
            gate_out[index] = gradient * up * (sigmoid + silu * (1.0 - sigmoid));
            up_out[index] = gradient * silu;
        }
    });
    Tensor::from_vec(out, (rows, columns), both.device())
}

/// Gate and up, in F32.
fn halves(both: &Tensor) -> Result<(Tensor, Tensor)> {
    let (both, width) = (wide(both)?, both.dim(1)? / 2);
    Ok((both.narrow(1, 0, width)?, both.narrow(1, width, width)?))
}
