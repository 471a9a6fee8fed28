//! How likely a model finds given answers.

use std::path::Path;

use twin_schemas::ChatMessage;
use twin_training::Precision;

use super::decoder::Decoder;
use super::error::Error;
use super::kernels::Kernels;
use super::objective::token_losses;
use super::pack::Pack;
use super::task::device;
use super::template::ChatFormat;
use super::weights::Weights;

/// A model that scores texts. It holds the model's weights and nothing else.
pub struct Scorer {
    decoder: Decoder,
    format: ChatFormat,
}

/// Loads a model, base or merged, from a Hugging Face directory: on a GPU in the precision of its weights, on a processor in
/// single precision.
///
/// # Errors
/// As [`Decoder::load`] and [`ChatFormat::read`].
pub fn scorer(model: &Path) -> Result<Scorer, Error> {
    let device = device()?;
    let is_half = !device.is_cpu() && Weights::open(model)?.are_of_half_precision();
    let precision = if is_half { Precision::Bf16 } else { Precision::F32 };
    let decoder = Decoder::load_with(model, &device, Kernels::of(&device), precision)?;
    Ok(Scorer { format: ChatFormat::read(model)?, decoder })
}

impl Scorer {
    /// The negative log-likelihood of a completion given its prompt, in nats and summed over its tokens, and the number of
    /// these tokens. The end token is one of them where the completion `ends`; where it is a part of a text that goes on, no
    /// model is to blame for not ending there.
    ///
    /// # Errors
    /// A text longer than the model's positions, and the template's and tokenizer's errors.
    pub fn loss(&self, prompt: &[ChatMessage], completion: &str, ends: bool) -> Result<(f64, usize), Error> {
        let sequence = self.format.sequence(prompt, completion)?;
        let sequence = if ends { sequence } else { sequence.without_end() };
        let (tokens, limit) = (sequence.tokens.len(), self.decoder.config().max_tokens);
        if tokens > limit {
            return Err(Error::TooLong { tokens, limit });
        }
        let losses = token_losses(&self.decoder, &Pack::new([&sequence]), None)?;
        Ok((losses.iter().map(|loss| f64::from(*loss)).sum(), losses.len()))
    }
}
