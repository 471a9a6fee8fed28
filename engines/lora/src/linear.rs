//! A frozen matrix with its adapter.
//!
//! Frozen means that no gradient for the matrix is ever computed: the backward pass is `g W` for the input and the two
//! small gradients of the adapter. (candle's own derivative of a product computes both sides; half as much memory again
//! and several times the time were measured.)

use candle_core::Tensor;
use twin_training::Target;

use super::error::Error;
use super::kernels::{Kernels, Mask, add_columns, dropout};
use super::lora::{DeviceAdapter, Pair};

/// One or more projections of the same input, one below the other.
pub(crate) struct Linear {
    /// `[columns, inputs]`.
    weight: Tensor,
    bias: Option<Tensor>,
    /// The projections, each with its first column in the result and its width.
    parts: Vec<(Target, usize, usize)>,
}

/// The gradients of the adapter's matrices, in the order of [`super::lora::Adapter::parameters`].
pub(crate) type Gradients = Vec<Option<Tensor>>;

impl Linear {
    /// Puts weights `[width, inputs]` (and biases, for all or none) below each other.
    pub fn new(projections: Vec<(Target, Tensor)>, biases: &[Tensor]) -> Result<Self, Error> {
        let mut parts = Vec::new();
        let mut column = 0;
        for (target, weight) in &projections {
            let width = weight.dim(0)?;
            parts.push((*target, column, width));
            column += width;
        }
        let weights: Vec<&Tensor> = projections.iter().map(|(_, weight)| weight).collect();
        let bias = if biases.is_empty() { None } else { Some(Tensor::cat(biases, 0)?) };
        Ok(Self { weight: Tensor::cat(&weights, 0)?, bias, parts })
    }

    /// `x` `[rows, inputs]` to `[rows, columns]`.
    pub fn forward(
        &self,
        kernels: Kernels,
        x: &Tensor,
        layer: usize,
        adapter: Option<&DeviceAdapter>,
    ) -> Result<Tensor, Error> {
        let mut y = x.matmul(&self.weight.t()?)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        let Some(adapter) = adapter else { return Ok(y) };
        for &(target, column, _) in &self.parts {
            let Some(pair) = adapter.pair(layer, target) else { continue };
            let low = dropped(kernels, x, pair.mask())?.matmul(&pair.a.t()?)?;
            y = add_columns(kernels, y, &low.matmul(&pair.b.t()?)?, column, pair.scale)?;
        }
        Ok(y)
    }

    /// The gradient for `x`, given that for the result; the adapter's go into `gradients`.
    pub fn backward(
        &self,
        kernels: Kernels,
        x: &Tensor,
        gradient: &Tensor,
        layer: usize,
        adapter: &DeviceAdapter,
        gradients: &mut Gradients,
    ) -> Result<Tensor, Error> {
        let mut for_x = gradient.matmul(&self.weight)?;
        for &(target, column, width) in &self.parts {
            let Some(pair) = adapter.pair(layer, target) else { continue };
            // cuBLAS takes no matrix with gaps between its rows.
            let part = gradient.narrow(1, column, width)?.contiguous()?;
            for_x = (for_x + adapter_backward(kernels, &pair, x, &part, gradients)?)?;
        }
        Ok(for_x)
    }
}

fn adapter_backward(
    kernels: Kernels,
    pair: &Pair<'_>,
    x: &Tensor,
    gradient: &Tensor,
    gradients: &mut Gradients,
) -> Result<Tensor, Error> {
    let x = dropped(kernels, x, pair.mask())?;
    let low = x.matmul(&pair.a.t()?)?;
    let for_low = (gradient.matmul(pair.b)? * pair.scale)?;
    gradients[pair.index] = Some(for_low.t()?.matmul(&x)?);
    gradients[pair.index + 1] = Some((gradient.t()?.matmul(&low)? * pair.scale)?);
    dropped(kernels, &for_low.matmul(pair.a)?, pair.mask())
}

fn dropped(kernels: Kernels, x: &Tensor, mask: Option<Mask>) -> Result<Tensor, Error> {
    Ok(match mask {
        Some(mask) => dropout(kernels, x, &mask)?,
        None => x.clone(),
    })
}
