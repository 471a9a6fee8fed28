//! Grouped-query attention over the sequences of a pack, and its derivative.
//!
//! Each sequence is computed by itself: a mask over the whole pack would have most of the work done for nothing. The
//! attention weights are computed again in the backward pass, so that memory grows with the tokens and not with their
//! square.

use candle_core::Tensor;

use super::config::ModelConfig;
use super::error::Error;
use super::kernels::{
    Columns, Kernels, Rope, causal_softmax, causal_softmax_backward, join_heads, rms_norm, rms_norm_backward,
    split_heads,
};
use super::pack::Pack;

/// The parts of attention that are weights of a layer.
pub(crate) struct HeadNorms {
    /// `[head_dim]`.
    pub q: Tensor,
    /// `[head_dim]`.
    pub k: Tensor,
}

/// What attention needs to know besides its input.
pub(crate) struct Attention<'a> {
    pub config: &'a ModelConfig,
    pub kernels: Kernels,
    pub pack: &'a Pack,
    pub rope: &'a Rope,
    /// Qwen3's.
    pub norms: Option<&'a HeadNorms>,
}

/// q, k and v of one sequence: `[kv_heads, group * tokens, head_dim]` and twice `[kv_heads, tokens, head_dim]`.
struct Heads {
    q: Tensor,
    k: Tensor,
    v: Tensor,
}

impl Attention<'_> {
    /// From `qkv` `[rows, qkv_columns]` to `[rows, heads * head_dim]`.
    pub fn forward(&self, qkv: &Tensor) -> Result<Tensor, Error> {
        let qkv = self.normalised(qkv)?;
        let mut outputs = Vec::new();
        for (row, tokens) in self.pack.spans() {
            let heads = self.heads(&qkv, row, tokens)?;
            let output = self.weights(&heads)?.matmul(&heads.v)?;
            let output = output.reshape((self.config.heads, tokens, self.config.head_dim))?;
            outputs.push(vec![(output, false)]);
        }
        Ok(join_heads(self.kernels, &outputs, self.rope)?)
    }

    /// The gradient for `qkv`, given that for the result.
    pub fn backward(&self, qkv: &Tensor, gradient: &Tensor) -> Result<Tensor, Error> {
        let ModelConfig { heads: count, kv_heads, head_dim, .. } = *self.config;
        let normalised = self.normalised(qkv)?;
        let columns = Columns { first: 0, heads: count, head_dim };
        let mut gradients = Vec::new();
        for (row, tokens) in self.pack.spans() {
            let heads = self.heads(&normalised, row, tokens)?;
            let weights = self.weights(&heads)?;
            let output = split_heads(self.kernels, gradient, row, tokens, columns, None)?;
            let output = output.reshape((kv_heads, self.config.group() * tokens, head_dim))?;
            let v = weights.t()?.matmul(&output)?;
            let for_weights = output.matmul(&heads.v.t()?)?;
            let scores = causal_softmax_backward(self.kernels, &weights, for_weights, self.scale())?;
            let q = scores.matmul(&heads.k)?.reshape((count, tokens, head_dim))?;
            let k = scores.t()?.matmul(&heads.q)?;
            gradients.push(vec![(q, true), (k, true), (v, false)]);
        }
        let joined = join_heads(self.kernels, &gradients, self.rope)?;
        self.normalised_backward(qkv, joined)
    }

    fn heads(&self, qkv: &Tensor, row: usize, tokens: usize) -> Result<Heads, Error> {
        let ModelConfig { heads, kv_heads, head_dim, .. } = *self.config;
        let split = |first: usize, heads: usize, rope| {
            split_heads(self.kernels, qkv, row, tokens, Columns { first: first * head_dim, heads, head_dim }, rope)
        };
        Ok(Heads {
            q: split(0, heads, Some(self.rope))?.reshape((kv_heads, self.config.group() * tokens, head_dim))?,
            k: split(heads, kv_heads, Some(self.rope))?,
            v: split(heads + kv_heads, kv_heads, None)?,
        })
    }

    fn weights(&self, heads: &Heads) -> Result<Tensor, Error> {
        Ok(causal_softmax(self.kernels, heads.q.matmul(&heads.k.t()?)?, self.scale())?)
    }

    fn scale(&self) -> f64 {
        1.0 / (self.config.head_dim as f64).sqrt()
    }

    /// Where the model has norms of the heads, q and k after them.
    fn normalised(&self, qkv: &Tensor) -> Result<Tensor, Error> {
        let Some(norms) = self.norms else { return Ok(qkv.clone()) };
        let eps = self.config.norm_eps;
        let norm = |columns, weight| -> Result<Tensor, Error> {
            let heads = self.rows_of_heads(qkv, columns)?;
            Ok(rms_norm(self.kernels, &heads, weight, eps)?.reshape((qkv.dim(0)?, ()))?)
        };
        let [q, k, v] = self.kinds();
        Ok(Tensor::cat(&[norm(q, &norms.q)?, norm(k, &norms.k)?, qkv.narrow(1, v.0, v.1)?], 1)?.contiguous()?)
    }

    fn normalised_backward(&self, qkv: &Tensor, gradient: Tensor) -> Result<Tensor, Error> {
        let Some(norms) = self.norms else { return Ok(gradient) };
        let eps = self.config.norm_eps;
        let norm = |columns, weight| -> Result<Tensor, Error> {
            let (heads, gradient) = (self.rows_of_heads(qkv, columns)?, self.rows_of_heads(&gradient, columns)?);
            Ok(rms_norm_backward(self.kernels, &heads, weight, eps, &gradient)?.reshape((qkv.dim(0)?, ()))?)
        };
        let [q, k, v] = self.kinds();
        Ok(Tensor::cat(&[norm(q, &norms.q)?, norm(k, &norms.k)?, gradient.narrow(1, v.0, v.1)?], 1)?.contiguous()?)
    }

    /// First column and width of q, k and v.
    fn kinds(&self) -> [(usize, usize); 3] {
        let ModelConfig { heads, kv_heads, head_dim, .. } = *self.config;
        let (queries, keys) = (heads * head_dim, kv_heads * head_dim);
        [(0, queries), (queries, keys), (queries + keys, keys)]
    }

    fn rows_of_heads(&self, qkv: &Tensor, (first, width): (usize, usize)) -> Result<Tensor, Error> {
        Ok(qkv.narrow(1, first, width)?.contiguous()?.reshape(((), self.config.head_dim))?)
    }
}
