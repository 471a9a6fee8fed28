//! Grouped-query attention over the groups of a pack, and its derivative.
//!
//! Each stretch of a group is computed by itself, its common beginning and the branches behind it: a mask over the whole pack
//! would have most of the work done for nothing. The keys and values of a beginning are made once, and stand before those of
//! each branch. The attention weights are computed again in the backward pass, so that memory grows with the tokens and not
//! with their square.

use candle_core::Tensor;

use super::config::ModelConfig;
use super::error::Error;
use super::kernels::{
    Columns, Joined, Kernels, Rope, Stretch, causal_softmax, causal_softmax_backward, join_heads, rms_norm,
    rms_norm_backward, split_heads,
};
use super::pack::{Group, Pack};

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

/// q, k and v of a stretch, or the gradients for them: `[kv_heads, group * tokens, head_dim]` and twice
/// `[kv_heads, position + tokens, head_dim]`, where `position` is that of its first token: k and v of what stands before it come
/// first.
struct Heads {
    q: Tensor,
    k: Tensor,
    v: Tensor,
}

impl Heads {
    /// A branch with the keys and values of its beginning before its own.
    fn after(self, beginning: &Self) -> Result<Self, Error> {
        let Self { q, k, v } = self;
        let k = Tensor::cat(&[&beginning.k, &k], 1)?.contiguous()?;
        let v = Tensor::cat(&[&beginning.v, &v], 1)?.contiguous()?;
        Ok(Self { q, k, v })
    }

    /// The reverse for gradients: adds those for the beginning's `tokens` keys and values to it.
    fn give_back(self, tokens: usize, beginning: &mut Self) -> Result<Self, Error> {
        let Self { q, k, v } = self;
        beginning.k = (&beginning.k + k.narrow(1, 0, tokens)?)?;
        beginning.v = (&beginning.v + v.narrow(1, 0, tokens)?)?;
        let own = |all: Tensor| all.narrow(1, tokens, all.dim(1)? - tokens)?.contiguous();
        Ok(Self { q, k: own(k)?, v: own(v)? })
    }
}

impl Group {
    fn beginning(&self) -> Stretch {
        Stretch { row: self.row, tokens: self.prefix, position: 0 }
    }

    fn stretches_behind(&self) -> impl Iterator<Item = Stretch> + '_ {
        self.branches().map(move |(row, tokens)| Stretch { row, tokens, position: self.prefix })
    }
}

impl Attention<'_> {
    /// From `qkv` `[rows, qkv_columns]` to `[rows, heads * head_dim]`.
    pub fn forward(&self, qkv: &Tensor) -> Result<Tensor, Error> {
        let qkv = self.normalised(qkv)?;
        let mut outputs = Vec::new();
        for group in &self.pack.groups {
            let beginning = self.heads(&qkv, group.beginning())?;
            outputs.push(self.attended(&beginning, group.beginning())?);
            for stretch in group.stretches_behind() {
                let branch = self.heads(&qkv, stretch)?.after(&beginning)?;
                outputs.push(self.attended(&branch, stretch)?);
            }
        }
        Ok(join_heads(self.kernels, &outputs, self.rope)?)
    }

    /// The gradient for `qkv`, given that for the result.
    pub fn backward(&self, qkv: &Tensor, gradient: &Tensor) -> Result<Tensor, Error> {
        let normalised = self.normalised(qkv)?;
        let mut gradients = Vec::new();
        for group in &self.pack.groups {
            let beginning = self.heads(&normalised, group.beginning())?;
            let mut of_beginning = self.heads_backward(&beginning, group.beginning(), gradient)?;
            let mut of_branches = Vec::new();
            for stretch in group.stretches_behind() {
                let branch = self.heads(&normalised, stretch)?.after(&beginning)?;
                let of_branch = self.heads_backward(&branch, stretch, gradient)?;
                let of_branch = of_branch.give_back(group.prefix, &mut of_beginning)?;
                of_branches.push(self.joined(of_branch, stretch)?);
            }
            gradients.push(self.joined(of_beginning, group.beginning())?);
            gradients.extend(of_branches);
        }
        let joined = join_heads(self.kernels, &gradients, self.rope)?;
        self.normalised_backward(qkv, joined)
    }

    /// A stretch's q, and its own k and v.
    fn heads(&self, qkv: &Tensor, stretch: Stretch) -> Result<Heads, Error> {
        let ModelConfig { heads, kv_heads, head_dim, .. } = *self.config;
        let split = |first: usize, heads: usize, rope| {
            split_heads(self.kernels, qkv, stretch, Columns { first: first * head_dim, heads, head_dim }, rope)
        };
        let queries = (kv_heads, self.config.group() * stretch.tokens, head_dim);
        Ok(Heads {
            q: split(0, heads, Some(self.rope))?.reshape(queries)?,
            k: split(heads, kv_heads, Some(self.rope))?,
            v: split(heads + kv_heads, kv_heads, None)?,
        })
    }

    /// The result for a stretch.
    fn attended(&self, heads: &Heads, stretch: Stretch) -> Result<Joined, Error> {
        let output = self.weights(heads, stretch)?.matmul(&heads.v)?;
        let output = output.reshape((self.config.heads, stretch.tokens, self.config.head_dim))?;
        Ok(Joined { position: stretch.position, kinds: vec![(output, false)] })
    }

    /// The gradients for q, and for all k and v that a stretch sees, given that for all results.
    fn heads_backward(&self, heads: &Heads, stretch: Stretch, gradient: &Tensor) -> Result<Heads, Error> {
        let ModelConfig { heads: count, kv_heads, head_dim, .. } = *self.config;
        let columns = Columns { first: 0, heads: count, head_dim };
        let weights = self.weights(heads, stretch)?;
        let output = split_heads(self.kernels, gradient, stretch, columns, None)?;
        let output = output.reshape((kv_heads, self.config.group() * stretch.tokens, head_dim))?;
        let v = weights.t()?.matmul(&output)?;
        let for_weights = output.matmul(&heads.v.t()?)?;
        let scores = causal_softmax_backward(self.kernels, &weights, for_weights, stretch.position, self.scale())?;
        Ok(Heads { q: scores.matmul(&heads.k)?, k: scores.t()?.matmul(&heads.q)?, v })
    }

    /// The gradients for a stretch's own q, k and v.
    fn joined(&self, heads: Heads, stretch: Stretch) -> Result<Joined, Error> {
        let q = heads.q.reshape((self.config.heads, stretch.tokens, self.config.head_dim))?;
        Ok(Joined { position: stretch.position, kinds: vec![(q, true), (heads.k, true), (heads.v, false)] })
    }

    fn weights(&self, heads: &Heads, stretch: Stretch) -> Result<Tensor, Error> {
        let scores = heads.q.matmul(&heads.k.t()?)?;
        Ok(causal_softmax(self.kernels, scores, stretch.position, self.scale())?)
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
