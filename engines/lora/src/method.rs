//! The two objectives: the likelihood of completions, and direct preference optimisation.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;
use twin_training::{Method, Recipe};

use super::data::Item;
use super::decoder::Decoder;
use super::error::Error;
use super::lora::DeviceAdapter;
use super::objective::{losses_and_gradients, token_losses};
use super::pack::Pack;

/// An objective over the items of a file.
pub(crate) struct Objective<'a> {
    decoder: &'a Decoder,
    method: Method,
    beta: f64,
    /// For DPO: the frozen model's log-probability of each item's better and worse answer.
    references: BTreeMap<usize, [f64; 2]>,
}

/// Losses summed over units: predicted tokens of SFT, pairs of DPO.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Loss {
    pub sum: f64,
    pub units: usize,
}

impl Loss {
    pub fn mean(self) -> f64 {
        self.sum / self.units as f64
    }

    pub fn add(self, other: Self) -> Self {
        Self { sum: self.sum + other.sum, units: self.units + other.units }
    }
}

impl<'a> Objective<'a> {
    /// For DPO, has the frozen model read the items that are `used` once. `go_on` is asked before each of them.
    pub fn new(
        decoder: &'a Decoder,
        recipe: &Recipe,
        items: &[Item],
        used: impl IntoIterator<Item = usize>,
        mut go_on: impl FnMut() -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let mut references = BTreeMap::new();
        if recipe.method == Method::Dpo {
            for index in used.into_iter().collect::<BTreeSet<usize>>() {
                go_on()?;
                let pack = Pack::new(&items[index]);
                let sums = answer_sums(&pack, &token_losses(decoder, &pack, None)?);
                references.insert(index, [-sums[0], -sums[1]]);
            }
        }
        Ok(Self { decoder, method: recipe.method, beta: recipe.dpo_beta, references })
    }

    /// Units among items: what a loss is a mean over.
    pub fn units<'b>(&self, items: impl IntoIterator<Item = &'b Item>) -> usize {
        match self.method {
            Method::Sft => items.into_iter().flatten().map(|sequence| sequence.targets()).sum(),
            Method::Dpo => items.into_iter().count(),
        }
    }

    /// The loss of a pack of items (indices into `items`).
    pub fn loss(&self, items: &[Item], indices: &[usize], adapter: &DeviceAdapter) -> Result<Loss, Error> {
        let pack = packed(items, indices);
        let losses = token_losses(self.decoder, &pack, Some(adapter))?;
        Ok(self.summed(&pack, indices, &losses))
    }

    /// The loss of a pack, and the gradients of the mean loss of a step of `units` units.
    pub fn gradients(
        &self,
        items: &[Item],
        indices: &[usize],
        adapter: &DeviceAdapter,
        units: usize,
    ) -> Result<(Loss, Vec<Tensor>), Error> {
        let pack = packed(items, indices);
        let (losses, gradients) = losses_and_gradients(self.decoder, &pack, adapter, |hidden| match self.method {
            Method::Sft => Ok(vec![1.0 / units as f32; pack.target_count()]),
            Method::Dpo => Ok(self.preference_factors(&pack, indices, &hidden.compute()?, units)),
        })?;
        Ok((self.summed(&pack, indices, &losses), gradients))
    }

    fn summed(&self, pack: &Pack, indices: &[usize], losses: &[f32]) -> Loss {
        match self.method {
            Method::Sft => Loss { sum: losses.iter().map(|loss| f64::from(*loss)).sum(), units: losses.len() },
            Method::Dpo => {
                let margins = self.margins(pack, indices, losses);
                Loss { sum: margins.iter().map(|margin| preference_loss(*margin)).sum(), units: margins.len() }
            }
        }
    }

    /// `beta` times by how much more than the frozen model the trained one prefers the better answer, of each pair.
    fn margins(&self, pack: &Pack, indices: &[usize], losses: &[f32]) -> Vec<f64> {
        let sums = answer_sums(pack, losses);
        let margin = |(sums, index): (&[f64], &usize)| {
            let [chosen, rejected] = self.references[index];
            self.beta * ((-sums[0] - chosen) - (-sums[1] - rejected))
        };
        sums.chunks_exact(2).zip(indices).map(margin).collect()
    }

    /// How often each token's loss counts: the derivative of [`preference_loss`].
    fn preference_factors(&self, pack: &Pack, indices: &[usize], losses: &[f32], units: usize) -> Vec<f32> {
        let mut factors = Vec::with_capacity(losses.len());
        let margins = self.margins(pack, indices, losses);
        for (margin, counts) in margins.iter().zip(pack.counts.chunks_exact(2)) {
            // A token's loss is its negative log-probability, so the better answer's losses lower the margin.
            let factor = (-preference_slope(*margin) * self.beta / units as f64) as f32;
            factors.extend(std::iter::repeat_n(factor, counts[0]));
            factors.extend(std::iter::repeat_n(-factor, counts[1]));
        }
        factors
    }
}

/// `-ln sigmoid(margin)` (Rafailov et al. 2023, equation 7), without overflow.
pub fn preference_loss(margin: f64) -> f64 {
    (-margin.abs()).exp().ln_1p() + (-margin).max(0.0)
}

/// The derivative of [`preference_loss`].
pub fn preference_slope(margin: f64) -> f64 {
    -1.0 / (1.0 + margin.exp())
}

fn packed(items: &[Item], indices: &[usize]) -> Pack {
    Pack::new(indices.iter().flat_map(|index| &items[*index]))
}

/// The losses of each sequence's tokens, summed.
fn answer_sums(pack: &Pack, losses: &[f32]) -> Vec<f64> {
    let mut rest = losses;
    let mut sums = Vec::with_capacity(pack.counts.len());
    for &count in &pack.counts {
        let (of_sequence, others) = rest.split_at(count);
        sums.push(of_sequence.iter().map(|loss| f64::from(*loss)).sum());
        rest = others;
    }
    sums
}
