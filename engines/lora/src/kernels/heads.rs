//! Between the matrix of q, k and v of all tokens and the heads of one stretch of a text, with rotary positions
//! (Su et al. 2021, arXiv 2104.09864, in the half-split form of Hugging Face's models).

use candle_core::{Device, Result, Tensor, bail};

use super::{Host, Kernels, wide};

/// Cosine and sine of each position's angles.
pub(crate) struct Rope {
    /// `[positions, head_dim / 2]` each, row by row.
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
    /// The same as `[2, positions, head_dim / 2]`, for what computes with tensors.
    angles: Option<Tensor>,
}

impl Rope {
    /// The angles of the first `positions`, computed in F32 as Hugging Face's and mistral.rs' models are.
    pub fn new(frequencies: &[f32], positions: usize, kernels: Kernels, device: &Device) -> Result<Self> {
        let half = frequencies.len();
        let angles = || (0..positions).flat_map(|position| frequencies.iter().map(move |f| position as f32 * f));
        let (cos, sin): (Vec<f32>, Vec<f32>) = (angles().map(f32::cos).collect(), angles().map(f32::sin).collect());
        let both = || Tensor::from_vec([cos.as_slice(), &sin].concat(), (2, positions, half), device);
        let is_host = kernels == Kernels::Fused && device.is_cpu();
        let angles = if is_host { None } else { Some(both()?) };
        Ok(Self { cos, sin, half, angles })
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

    fn angles(&self) -> Result<&Tensor> {
        let Some(angles) = &self.angles else { bail!("these angles were made for the kernels of the CPU") };
        Ok(angles)
    }

    /// Turns heads `[heads, tokens, head_dim]`, of which the first token is at `position`.
    fn turn_tensor(&self, heads: &Tensor, position: usize, direction: f64) -> Result<Tensor> {
        let (_, tokens, _) = heads.dims3()?;
        let angles = self.angles()?.narrow(1, position, tokens)?;
        let (cos, sin) = (angles.narrow(0, 0, 1)?, (angles.narrow(0, 1, 1)? * direction)?);
        let values = wide(heads)?;
        let (left, right) = (values.narrow(2, 0, self.half)?, values.narrow(2, self.half, self.half)?);
        let left_out = (left.broadcast_mul(&cos)? - right.broadcast_mul(&sin)?)?;
        let right_out = (right.broadcast_mul(&cos)? + left.broadcast_mul(&sin)?)?;
        Tensor::cat(&[left_out, right_out], 2)?.to_dtype(heads.dtype())
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

/// Rows of the matrix that follow each other in one text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    /// The first.
    pub row: usize,
    /// How many.
    pub tokens: usize,
    /// The position of the first in its text.
    pub position: usize,
}

/// The heads of a stretch, to be put side by side.
pub(crate) struct Joined {
    /// The position of the first token in its text.
    pub position: usize,
    /// Each kind of heads `[heads, tokens, head_dim]`, with whether they are to be turned back.
    pub kinds: Vec<(Tensor, bool)>,
}

/// Where the heads of one kind of a stretch stand in a matrix.
pub(super) struct Place {
    /// The stretch's first row.
    pub row: usize,
    /// Its tokens.
    pub tokens: usize,
    /// The position of the first in its text.
    pub position: usize,
    /// All columns of the matrix.
    pub columns: usize,
    /// The first column of these heads.
    pub first: usize,
    /// Width of a head.
    pub head_dim: usize,
}

impl Place {
    /// Where the vector of a head and a token begins, these counted as in `[heads, tokens, head_dim]`.
    fn start(&self, index: usize) -> usize {
        let (head, token) = (index / self.tokens, index % self.tokens);
        (self.row + token) * self.columns + self.first + head * self.head_dim
    }
}

/// The heads `[heads, tokens, head_dim]` of a stretch, turned by `rope` if given.
pub(crate) fn split_heads(
    kernels: Kernels,
    matrix: &Tensor,
    stretch: Stretch,
    columns: Columns,
    rope: Option<&Rope>,
) -> Result<Tensor> {
    let Stretch { row, tokens, position } = stretch;
    let Columns { first, heads, head_dim } = columns;
    if kernels == Kernels::Portable {
        let part = matrix.narrow(0, row, tokens)?.narrow(1, first, heads * head_dim)?.contiguous()?;
        let split = part.reshape((tokens, heads, head_dim))?.transpose(0, 1)?.contiguous()?;
        return rope.map_or(Ok(split.clone()), |rope| rope.turn_tensor(&split, position, 1.0));
    }
    let place = Place { row, tokens, position, columns: matrix.dim(1)?, first, head_dim };
    #[cfg(feature = "cuda")]
    if matrix.device().is_cuda() {
        return super::cuda::split_heads(matrix, &place, heads, rope.map(Rope::angles).transpose()?);
    }
    let host = Host::of(matrix)?;
    let values = host.values()?;
    let mut out = vec![0f32; heads * tokens * head_dim];
    for (index, out) in out.chunks_exact_mut(head_dim).enumerate() {
        let start = place.start(index);
        let input = &values[start..start + head_dim];
        match rope {
            Some(rope) => rope.turn(position + index % tokens, 1.0, input, out),
            None => out.copy_from_slice(input),
        }
    }
    Tensor::from_vec(out, (heads, tokens, head_dim), matrix.device())
}

/// The reverse of [`split_heads`]: the matrix `[rows, columns]` of the stretches one below the other. The kinds of heads of each
/// are side by side, and turned back by `rope` where they are to be.
pub(crate) fn join_heads(kernels: Kernels, stretches: &[Joined], rope: &Rope) -> Result<Tensor> {
    let Some((any, _)) = stretches.first().and_then(|stretch| stretch.kinds.first()) else { bail!("no heads to join") };
    if kernels == Kernels::Portable {
        let joined: Result<Vec<Tensor>> = stretches.iter().map(|stretch| join_stretch(stretch, rope)).collect();
        return Tensor::cat(&joined?, 0);
    }
    let shape = joined_shape(stretches)?;
    #[cfg(feature = "cuda")]
    if any.device().is_cuda() {
        let matrix = Tensor::zeros(shape, any.dtype(), any.device())?;
        each_place(stretches, shape.1, |place, heads, turned| {
            let angles = if turned { Some(rope.angles()?) } else { None };
            super::cuda::join_heads(&matrix, &place, heads, angles)
        })?;
        return Ok(matrix);
    }
    let mut out = vec![0f32; shape.0 * shape.1];
    each_place(stretches, shape.1, |place, heads, turned| {
        let host = Host::of(heads)?;
        for (index, input) in host.values()?.chunks_exact(place.head_dim).enumerate() {
            let start = place.start(index);
            let out = &mut out[start..start + place.head_dim];
            let position = place.position + index % place.tokens;
            if turned { rope.turn(position, -1.0, input, out) } else { out.copy_from_slice(input) }
        }
        Ok(())
    })?;
    Tensor::from_vec(out, shape, any.device())
}

/// Rows and columns of the matrix that stretches are joined into.
fn joined_shape(stretches: &[Joined]) -> Result<(usize, usize)> {
    let mut rows = 0;
    for Joined { kinds, .. } in stretches {
        rows += kinds[0].0.dim(1)?;
    }
    let columns = stretches[0].kinds.iter().map(|(heads, _)| heads.dims()[0] * heads.dims()[2]).sum();
    Ok((rows, columns))
}

/// Gives each stretch's kinds of heads the next place of a matrix with so many columns.
fn each_place(
    stretches: &[Joined],
    columns: usize,
    mut put: impl FnMut(Place, &Tensor, bool) -> Result<()>,
) -> Result<()> {
    let mut row = 0;
    for Joined { position, kinds } in stretches {
        let (position, mut first) = (*position, 0);
        for (heads, turned) in kinds {
            let (count, tokens, head_dim) = heads.dims3()?;
            put(Place { row, tokens, position, columns, first, head_dim }, heads, *turned)?;
            first += count * head_dim;
        }
        row += kinds[0].0.dim(1)?;
    }
    Ok(())
}

fn join_stretch(stretch: &Joined, rope: &Rope) -> Result<Tensor> {
    let mut columns = Vec::new();
    for (heads, turned) in &stretch.kinds {
        let (count, tokens, head_dim) = heads.dims3()?;
        let heads = if *turned { rope.turn_tensor(heads, stretch.position, -1.0)? } else { heads.clone() };
        columns.push(heads.transpose(0, 1)?.contiguous()?.reshape((tokens, count * head_dim))?);
    }
    Tensor::cat(&columns, 1)
}
