//! The two objectives: the likelihood of completions, and direct preference optimisation ([`super::preference`]).

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;
use twin_training::{Method, Recipe};

use super::data::Item;
use super::decoder::Decoder;
use super::error::Error;
use super::lora::DeviceAdapter;
use super::objective::{losses_and_gradients, token_losses};
use super::pack::Pack;
use super::preference::PreferenceLoss;

/// An objective over the items of a file.
pub(crate) struct Objective<'a> {
    decoder: &'a Decoder,
    method: Method,
    preference: PreferenceLoss,
    /// For DPO: the frozen model's log-probabilities of each item's better and worse answer, as
    /// [`PreferenceLoss::log_probabilities`] gives them.
    frozen: BTreeMap<usize, [f64; 2]>,
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
    /// For DPO, has the frozen model read the items that are `used` once: the base model, or that with the adapter of the
    /// stage before, frozen. `go_on` is asked before each of them.
    pub fn new(
        decoder: &'a Decoder,
        recipe: &Recipe,
        frozen: Option<&DeviceAdapter>,
        items: &[Item],
        used: impl IntoIterator<Item = usize>,
        mut go_on: impl FnMut() -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let preference = PreferenceLoss::of(recipe);
        let mut known = BTreeMap::new();
        if recipe.method == Method::Dpo {
            for index in used.into_iter().collect::<BTreeSet<usize>>() {
                go_on()?;
                let pack = packed(items, &[index]);
                let losses = token_losses(decoder, &pack, frozen)?;
                let answers = pairs(&pack, &losses).map(|answers| preference.log_probabilities(answers));
                known.extend(answers.map(|answers| (index, answers)));
            }
        }
        Ok(Self { decoder, method: recipe.method, preference, frozen: known })
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
                let pairs = pairs(pack, losses).zip(indices);
                let of_pair =
                    |(answers, index): ([&[f32]; 2], &usize)| self.preference.loss(answers, self.frozen[index]);
                Loss { sum: pairs.map(of_pair).sum(), units: indices.len() }
            }
        }
    }

    /// How often each token's loss counts in the mean loss of `units` pairs.
    fn preference_factors(&self, pack: &Pack, indices: &[usize], losses: &[f32], units: usize) -> Vec<f32> {
        let mut factors = Vec::with_capacity(losses.len());
        for (answers, index) in pairs(pack, losses).zip(indices) {
            let slopes = self.preference.slopes(answers, self.frozen[index]);
            factors.extend(slopes.into_iter().map(|slope| (slope / units as f64) as f32));
        }
        factors
    }
}

fn packed(items: &[Item], indices: &[usize]) -> Pack {
    Pack::sharing(indices.iter().map(|index| items[*index].as_slice()))
}

/// The losses of the tokens of each pair's better and worse answer.
fn pairs<'a>(pack: &'a Pack, losses: &'a [f32]) -> impl Iterator<Item = [&'a [f32]; 2]> {
    let mut rest = losses;
    pack.counts.chunks_exact(2).map(move |counts| {
        let (better, others) = rest.split_at(counts[0]);
        let (worse, others) = others.split_at(counts[1]);
        rest = others;
        [better, worse]
    })
}
