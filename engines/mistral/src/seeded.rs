//! Sampling that a seed repeats. mistral.rs 0.8.1 draws for all of its answers from one generator.

use mistralrs::{CustomLogitsProcessor, Result, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Adds noise to the logits of a request, so that the likeliest token is a sample: with `g` from Gumbel's distribution,
/// `argmax(logits / temperature + g)` is distributed as `softmax(logits / temperature)` (Gumbel 1954; Maddison et al. 2014,
/// arXiv 1411.0030). The noise of a token depends on the seed and on how many tokens stand before it, on nothing else: not
/// on other answers that are written at the same time, and not on how often a constraint makes mistral.rs look again.
pub(crate) struct Seeded {
    pub seed: u64,
    /// Above 0.
    pub temperature: f64,
    /// Nucleus sampling (Holtzman et al. 2020, arXiv 1904.09751); from 1 on it is off.
    pub top_p: f64,
}

impl CustomLogitsProcessor for Seeded {
    fn apply(&self, logits: &Tensor, context: &[u32]) -> Result<Tensor> {
        let scores = self.noisy(logits.to_vec1()?, context.len());
        Tensor::from_vec(scores, logits.shape(), logits.device())
    }
}

impl Seeded {
    /// The logits with the noise of a token at this place.
    fn noisy(&self, mut logits: Vec<f32>, place: usize) -> Vec<f32> {
        for logit in &mut logits {
            *logit = (f64::from(*logit) / self.temperature) as f32;
        }
        keep_nucleus(&mut logits, self.top_p);
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(place as u64);
        for logit in &mut logits {
            let bits = random.next_u64();
            // A token that is not allowed stays so, and costs no logarithm.
            if logit.is_finite() {
                *logit += gumbel(bits);
            }
        }
        logits
    }
}

/// Gumbel noise of uniformly distributed bits.
fn gumbel(bits: u64) -> f32 {
    // Of 52 bits the half is still exact: never 0 and never 1, whose logarithms have no logarithm.
    let uniform = ((bits >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    -(-uniform.ln()).ln() as f32
}

/// Rules out all but the likeliest tokens that have `top_p` of the probability together; the likeliest stays in any case.
fn keep_nucleus(logits: &mut [f32], top_p: f64) {
    if top_p >= 1.0 {
        return;
    }
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut weights: Vec<(usize, f64)> =
        logits.iter().map(|logit| f64::from(logit - highest).exp()).enumerate().filter(|(_, w)| *w > 0.0).collect();
    weights.sort_unstable_by(|(a, of_a), (b, of_b)| of_b.total_cmp(of_a).then(a.cmp(b)));
    let enough = top_p * weights.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut kept = vec![f32::NEG_INFINITY; logits.len()];
    let mut sum = 0.0;
    for (token, weight) in weights {
        kept[token] = logits[token];
        sum += weight;
        if sum >= enough {
            break;
        }
    }
    logits.copy_from_slice(&kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: f32 = f32::NEG_INFINITY;

    fn drawn(seed: u64, top_p: f64, logits: &[f32], place: usize) -> usize {
        let noisy = Seeded { seed, temperature: 0.5, top_p }.noisy(logits.to_vec(), place);
        (0..noisy.len()).max_by(|a, b| noisy[*a].total_cmp(&noisy[*b])).unwrap()
    }

    /// How often each token is drawn in 4,000 places.
    fn shares(top_p: f64, logits: &[f32]) -> Vec<f64> {
        let mut counts = vec![0.0; logits.len()];
        (0..4_000).for_each(|place| counts[drawn(7, top_p, logits, place)] += 1.0 / 4_000.0);
        counts
    }

    #[test]
    fn tokens_are_drawn_as_often_as_the_temperature_says() {
        // At 0.5 the probabilities are to each other as 1 to e² to e⁴, and what is not allowed is never drawn.
        let (found, total) = (shares(1.0, &[0.0, 1.0, NONE, 2.0]), 1.0 + 2.0_f64.exp() + 4.0_f64.exp());
        for (found, expected) in found.iter().zip([1.0 / total, 2.0_f64.exp() / total, 0.0, 4.0_f64.exp() / total]) {
            assert!((found - expected).abs() < 0.02, "{found} in place of {expected}");
        }
    }

    #[test]
    fn of_the_nucleus_alone_is_drawn() {
        // 0.866 and 0.117 of the probability.
        let found = shares(0.9, &[0.0, 1.0, 2.0, NONE]);
        assert_eq!((found[0], found[3]), (0.0, 0.0));
        assert!((found[1] - 0.119).abs() < 0.02, "{found:?}");
        assert!((shares(0.5, &[0.0, 1.0, 2.0])[2] - 1.0).abs() < 1e-6);
        assert!((shares(0.0, &[0.0, 1.0, 2.0])[2] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_seed_gives_the_same_tokens_and_another_seed_others() {
        let tokens = |seed| (0..50).map(|place| drawn(seed, 1.0, &[0.0; 100], place)).collect::<Vec<_>>();
        assert_eq!(tokens(1), tokens(1));
        assert_ne!(tokens(1), tokens(2));
    }

    #[test]
    fn the_noise_is_a_number_at_both_ends() {
        assert!(gumbel(0).is_finite() && gumbel(u64::MAX).is_finite());
    }
}
