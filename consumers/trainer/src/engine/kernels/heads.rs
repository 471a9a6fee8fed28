//! Between the matrix of q, k and v of all tokens and the heads of one sequence, with rotary positions
//! (Su et al. 2021, arXiv 2104.09864, in the half-split form of Hugging Face's models).

use candle_core::{Device, Result, Tensor, bail};

use super::{Host, Kernels};

/// Cosine and sine of each position's angles.
pub(crate) struct Rope {
    /// `[positions, head_dim / 2]` each, row by row.
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Rope {
    /// The angles of the first `positions`, computed in F32 as Hugging Face's and mistral.rs' models are.
    pub fn new(frequencies: &[f32], positions: usize) -> Self {
        let half = frequencies.len();
        let angles = || (0..positions).flat_map(|position| frequencies.iter().map(move |f| position as f32 * f));
        Self { cos: angles().map(f32::cos).collect(), sin: angles().map(f32::sin).collect(), half }
    }

    /// Turns the vector at `position`; `direction` is 1, or -1 to turn it back, which is also the derivative.
    #[inline]
    fn turn(&self, position: usize, direction: f32, input: &[f32], out: &mut [f32]) {
        let row = position * self.half..(position + 1) * self.half;
        let (cos, sin) = (&self.cos[row.clone()], &self.sin[row]);
        let (left, right) = input.split_at(self.half);
        let (left_out, right_out) = out.split_at_mut(self.half);
        for index in 0..self.half {
            let sin = direction * sin[index];
            left_out[index] = left[index] * cos[index] - right[index] * sin;
            right_out[index] = right[index] * cos[index] + left[index] * sin;
        }
    }

    fn turn_tensor(&self, heads: &Tensor, direction: f64) -> Result<Tensor> {
        let (_, tokens, _) = heads.dims3()?;
        let table = |values: &[f32]| {
            let values = values[..tokens * self.half].to_vec();
            Tensor::from_vec(values, (1, tokens, self.half), &Device::Cpu)?.to_device(heads.device())
        };
        let (cos, sin) = (table(&self.cos)?, (table(&self.sin)? * direction)?);
        let (left, right) = (heads.narrow(2, 0, self.half)?, heads.narrow(2, self.half, self.half)?);
        let left_out = (left.broadcast_mul(&cos)? - right.broadcast_mul(&sin)?)?;
        let right_out = (right.broadcast_mul(&cos)? + left.broadcast_mul(&sin)?)?;
        Tensor::cat(&[left_out, right_out], 2)
    }
}

/// Which columns of the matrix are the heads of one kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    /// The first.
    pub first: usize,
    /// How many heads.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
}

/// The heads `[heads, tokens, head_dim]` of the sequence of `tokens` rows from `row` on, turned by `rope` if given.
pub(crate) fn split_heads(
    kernels: Kernels,
    matrix: &Tensor,
    row: usize,
    tokens: usize,
    columns: Columns,
    rope: Option<&Rope>,
) -> Result<Tensor> {
    let Columns { first, heads, head_dim } = columns;
    if kernels == Kernels::Portable {
        let part = matrix.narrow(0, row, tokens)?.narrow(1, first, heads * head_dim)?.contiguous()?;
        let split = part.reshape((tokens, heads, head_dim))?.transpose(0, 1)?.contiguous()?;
        return rope.map_or(Ok(split.clone()), |rope| rope.turn_tensor(&split, 1.0));
    }
    let width = matrix.dim(1)?;
    let host = Host::of(matrix)?;
    let values = host.values()?;
    let mut out = vec![0f32; heads * tokens * head_dim];
    for (index, out) in out.chunks_exact_mut(head_dim).enumerate() {
        let (head, token) = (index / tokens, index % tokens);
        let start = (row + token) * width + first + head * head_dim;
        let input = &values[start..start + head_dim];
        match rope {
            Some(rope) => rope.turn(token, 1.0, input, out),
            None => out.copy_from_slice(input),
        }
    }
    Tensor::from_vec(out, (heads, tokens, head_dim), matrix.device())
}

/// The reverse of [`split_heads`]: the matrix `[rows, columns]` of the sequences one below the other. Each sequence is
/// a list of its kinds of heads, side by side, with whether they are to be turned back by `rope`.
pub(crate) fn join_heads(kernels: Kernels, sequences: &[Vec<(Tensor, bool)>], rope: &Rope) -> Result<Tensor> {
    let Some((first, _)) = sequences.first().and_then(|kinds| kinds.first()) else { bail!("no heads to join") };
    if kernels == Kernels::Portable {
        let joined: Result<Vec<Tensor>> = sequences.iter().map(|kinds| join_sequence(kinds, rope)).collect();
        return Tensor::cat(&joined?, 0);
    }
    let device = first.device().clone();
    let mut rows = 0;
    for kinds in sequences {
        rows += kinds[0].0.dim(1)?;
    }
    let width: usize = sequences[0].iter().map(|(heads, _)| heads.dims()[0] * heads.dims()[2]).sum();
    let mut out = vec![0f32; rows * width];
    let mut row = 0;
    for kinds in sequences {
        let mut column = 0;
        for (heads, turned) in kinds {
            let (count, tokens, head_dim) = heads.dims3()?;
            let host = Host::of(heads)?;
            for (index, input) in host.values()?.chunks_exact(head_dim).enumerate() {
                let (head, token) = (index / tokens, index % tokens);
                let start = (row + token) * width + column + head * head_dim;
                let out = &mut out[start..start + head_dim];
                if *turned { rope.turn(token, -1.0, input, out) } else { out.copy_from_slice(input) }
            }
            column += count * head_dim;
        }
        row += kinds[0].0.dim(1)?;
    }
    Tensor::from_vec(out, (rows, width), &device)
}

fn join_sequence(kinds: &[(Tensor, bool)], rope: &Rope) -> Result<Tensor> {
    let mut columns = Vec::new();
    for (heads, turned) in kinds {
        let (count, tokens, head_dim) = heads.dims3()?;
        let heads = if *turned { rope.turn_tensor(heads, -1.0)? } else { heads.clone() };
        columns.push(heads.transpose(0, 1)?.contiguous()?.reshape((tokens, count * head_dim))?);
    }
    Tensor::cat(&columns, 1)
}
