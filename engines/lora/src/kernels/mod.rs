//! The steps of a decoder layer that are no matrix products, each with its derivative written by hand; and the optimizer's.
//!
//! Each is one pass over its rows: on the CPU shared among the threads, on NVIDIA GPUs a kernel of `kernels.cu`. candle
//! would make a tensor of each intermediate result. It does so in the second form of each step, which is put together
//! from candle's own operations ([`Kernels`]). The tests hold the forms against each other, and the derivatives against
//! finite differences.
//!
//! In half precision the steps take and give half precision and compute in F32.

mod adamw;
#[cfg(feature = "cuda")]
mod cuda;
mod dropout;
mod entropy;
mod exp;
mod heads;
mod norm;
mod softmax;
mod swiglu;

pub(crate) use adamw::{Learned, Update};
pub(crate) use dropout::{Mask, dropout};
pub(crate) use entropy::{cross_entropy, cross_entropy_backward};
pub(crate) use heads::{Columns, Joined, Rope, Stretch, join_heads, split_heads};
pub(crate) use norm::{rms_norm, rms_norm_backward};
pub(crate) use softmax::{causal_softmax, causal_softmax_backward};
pub(crate) use swiglu::{swiglu, swiglu_backward};

use std::sync::RwLockReadGuard;

use candle_core::{
    CpuStorage, DType, Device, InplaceOp1, InplaceOp2, InplaceOp3, Layout, Result, Storage, Tensor, bail,
};

/// Which form of the steps is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// One pass over the rows; the CPU, and NVIDIA GPUs in a build for them.
    Fused,
    /// Put together from candle's operations, on any device.
    Portable,
}

impl Kernels {
    /// The faster form on a device.
    pub fn of(device: &Device) -> Self {
        if device.is_cpu() || device.is_cuda() { Self::Fused } else { Self::Portable }
    }
}

/// In F32, whatever its type: exponentials and sums over rows need the digits.
fn wide(tensor: &Tensor) -> Result<Tensor> {
    tensor.to_dtype(DType::F32)
}

/// Rows that one thread takes at a time, at least: below, the hand-over costs more than the work.
const ROWS: usize = 32;

/// The numbers of a contiguous F32 tensor on the CPU, without a copy.
struct Host<'a> {
    storage: RwLockReadGuard<'a, Storage>,
    range: (usize, usize),
}

impl<'a> Host<'a> {
    fn of(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        let Some(range) = layout.contiguous_offsets() else { bail!("a kernel was given a tensor with gaps") };
        Ok(Self { storage, range })
    }

    fn values(&self) -> Result<&[f32]> {
        match &*self.storage {
            Storage::Cpu(storage) => Ok(&storage.as_slice::<f32>()?[self.range.0..self.range.1]),
            _ => bail!("a kernel of the CPU was given a tensor of another device"),
        }
    }
}

/// Changes a contiguous F32 tensor in place.
struct Rewrite<F>(F);

impl<F: Fn(&mut [f32])> InplaceOp1 for Rewrite<F> {
    fn name(&self) -> &'static str {
        "rewrite"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        (self.0)(contiguous(storage, layout)?);
        Ok(())
    }
}

/// Changes a contiguous F32 tensor in place, by another.
struct RewriteBy<F>(F);

impl<F: Fn(&mut [f32], &[f32])> InplaceOp2 for RewriteBy<F> {
    fn name(&self) -> &'static str {
        "rewrite-by"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout, by: &CpuStorage, by_layout: &Layout) -> Result<()> {
        let Some((start, end)) = by_layout.contiguous_offsets() else { bail!("a kernel was given a tensor with gaps") };
        (self.0)(contiguous(storage, layout)?, &by.as_slice::<f32>()?[start..end]);
        Ok(())
    }
}

/// Changes a contiguous F32 tensor in place, by two others.
struct RewriteByTwo<F>(F);

impl<F: Fn(&mut [f32], &[f32], &[f32])> InplaceOp3 for RewriteByTwo<F> {
    fn name(&self) -> &'static str {
        "rewrite-by-two"
    }

    fn cpu_fwd(
        &self,
        storage: &mut CpuStorage,
        layout: &Layout,
        one: &CpuStorage,
        one_layout: &Layout,
        other: &CpuStorage,
        other_layout: &Layout,
    ) -> Result<()> {
        let by = [one_layout.contiguous_offsets(), other_layout.contiguous_offsets()];
        let [Some(of_one), Some(of_other)] = by else { bail!("a kernel was given a tensor with gaps") };
        let (one, other) = (one.as_slice::<f32>()?, other.as_slice::<f32>()?);
        (self.0)(contiguous(storage, layout)?, &one[of_one.0..of_one.1], &other[of_other.0..of_other.1]);
        Ok(())
    }
}

fn contiguous<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else { bail!("a kernel was given a tensor with gaps") };
    match storage {
        CpuStorage::F32(values) => Ok(&mut values[start..end]),
        _ => bail!("a kernel was given a tensor that is not F32"),
    }
}

/// Adds `scale * part` `[rows, width]` to the columns of `whole` `[rows, columns]` from `column` on.
///
/// `whole` must be no other tensor's storage as well: it may be changed in place.
pub(crate) fn add_columns(kernels: Kernels, whole: Tensor, part: &Tensor, column: usize, scale: f64) -> Result<Tensor> {
    let (columns, width) = (whole.dim(1)?, part.dim(1)?);
    if kernels == Kernels::Portable {
        let sum = (whole.narrow(1, column, width)? + (part * scale)?)?;
        let left = whole.narrow(1, 0, column)?;
        let right = whole.narrow(1, column + width, columns - column - width)?;
        let parts: Vec<Tensor> = [left, sum, right].into_iter().filter(|part| part.elem_count() > 0).collect();
        return Tensor::cat(&parts, 1);
    }
    #[cfg(feature = "cuda")]
    if whole.device().is_cuda() {
        cuda::add_columns(&whole, part, column, scale)?;
        return Ok(whole);
    }
    let scale = scale as f32;
    whole.inplace_op2(
        part,
        &RewriteBy(|whole: &mut [f32], part: &[f32]| {
            for (row, part) in whole.chunks_exact_mut(columns).zip(part.chunks_exact(width)) {
                for (sum, term) in row[column..column + width].iter_mut().zip(part) {
                    *sum += scale * term;
                }
            }
        }),
    )?;
    Ok(whole)
}
