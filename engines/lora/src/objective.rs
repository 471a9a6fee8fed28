//! The output head and what is made of its probabilities: the loss of a pack and its gradient.
//!
//! The head is applied to the rows that predict a token of a completion alone, and to a few of them at a time: the
//! logits of a vocabulary of 150 000 tokens take more memory than all else.

use candle_core::Tensor;

use super::decoder::Decoder;
use super::error::Error;
use super::kernels::{cross_entropy, cross_entropy_backward};
use super::lora::DeviceAdapter;
use super::pack::Pack;

/// Rows of logits in memory at a time.
pub(crate) const ROWS: usize = 128;

impl Decoder {
    /// `-ln p` of each predicted token of a pack, in nats.
    ///
    /// # Errors
    /// A token that is not in the vocabulary, and the device's errors.
    pub fn losses(&self, pack: &Pack, adapter: Option<&DeviceAdapter>) -> Result<Vec<f32>, Error> {
        token_losses(self, pack, adapter)
    }

    /// The losses of a pack's predicted tokens, and the gradient for each of the adapter's matrices of the sum in which
    /// each token's loss counts as often as `factors` says.
    ///
    /// # Errors
    /// As [`Self::losses`].
    pub fn gradients(
        &self,
        pack: &Pack,
        adapter: &DeviceAdapter,
        factors: &[f32],
    ) -> Result<(Vec<f32>, Vec<Tensor>), Error> {
        losses_and_gradients(self, pack, adapter, |_| Ok(factors.to_vec()))
    }
}

/// `-ln p` of each predicted token of a pack, in nats.
pub(crate) fn token_losses(decoder: &Decoder, pack: &Pack, adapter: Option<&DeviceAdapter>) -> Result<Vec<f32>, Error> {
    let hidden = decoder.hidden(pack, adapter)?;
    losses_of(decoder, pack, &hidden)
}

/// The losses of the pack's predicted tokens, and the gradients of the adapter's matrices for a loss in which each of
/// these tokens' losses counts as often as `factors` says of them.
pub(crate) fn losses_and_gradients(
    decoder: &Decoder,
    pack: &Pack,
    adapter: &DeviceAdapter,
    factors: impl FnOnce(&LazyLosses<'_>) -> Result<Vec<f32>, Error>,
) -> Result<(Vec<f32>, Vec<Tensor>), Error> {
    let (hidden, tape) = decoder.forward(pack, adapter)?;
    let factors = factors(&LazyLosses { decoder, pack, hidden: &hidden })?;
    let mut losses = Vec::with_capacity(pack.target_count());
    let mut gradients = Vec::new();
    for (first, rows, selected) in selections(decoder, pack, &hidden)? {
        let logits = selected.matmul(&decoder.head().t()?)?;
        let range = first..first + rows;
        let (of_rows, gradient) =
            cross_entropy_backward(decoder.kernels(), logits, &pack.targets[range.clone()], &factors[range])?;
        losses.extend(of_rows);
        gradients.push(gradient.matmul(decoder.head())?);
    }
    let rows = Tensor::new(pack.rows.as_slice(), decoder.device())?;
    let gradient = hidden.zeros_like()?.index_add(&rows, &Tensor::cat(&gradients, 0)?, 0)?;
    drop(hidden);
    Ok((losses, decoder.backward(pack, adapter, tape, &gradient)?))
}

/// The losses of a pack whose hidden states are known, for who needs them before the gradient.
pub(crate) struct LazyLosses<'a> {
    decoder: &'a Decoder,
    pack: &'a Pack,
    hidden: &'a Tensor,
}

impl LazyLosses<'_> {
    pub fn compute(&self) -> Result<Vec<f32>, Error> {
        losses_of(self.decoder, self.pack, self.hidden)
    }
}

fn losses_of(decoder: &Decoder, pack: &Pack, hidden: &Tensor) -> Result<Vec<f32>, Error> {
    let mut losses = Vec::with_capacity(pack.target_count());
    for (first, rows, selected) in selections(decoder, pack, hidden)? {
        let logits = selected.matmul(&decoder.head().t()?)?;
        losses.extend(cross_entropy(decoder.kernels(), &logits, &pack.targets[first..first + rows])?);
    }
    Ok(losses)
}

/// The hidden states that predict tokens, some at a time, with the place and number of their targets.
fn selections(decoder: &Decoder, pack: &Pack, hidden: &Tensor) -> Result<Vec<(usize, usize, Tensor)>, Error> {
    let mut selections = Vec::new();
    for (index, rows) in pack.rows.chunks(ROWS).enumerate() {
        let selected = hidden.index_select(&Tensor::new(rows, decoder.device())?, 0)?;
        selections.push((index * ROWS, rows.len(), selected));
    }
    Ok(selections)
}
