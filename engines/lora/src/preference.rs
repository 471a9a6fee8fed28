//! The loss of a preference: a better and a worse answer to the same prompt, each as the losses of its tokens.
//!
//! It is `-ln sigmoid(margin)` (DPO: Rafailov et al. 2023, arXiv 2305.18290, equation 7), with two terms that a recipe may
//! set:
//!
//! - a share of the better answer's mean loss for each token, so that it stays likely, where the difference alone lets both
//!   fall (RPO: Pang et al. 2024, arXiv 2404.19733; with a share of 0.2, Llama 3: Grattafiori et al. 2024, arXiv 2407.21783);
//! - the tokens by which one answer is longer than the other count less in the margin, so that less is learned of length
//!   itself (LD-DPO: Liu et al. 2024, arXiv 2409.06411). Of the ways to do so it is the one that leaves `beta` its meaning.
//!
//! The token that ends an answer is one of its tokens, of the worse answer as of the better: where an answer ends is a part
//! of what is preferred. It counts in every case, since those tokens count less and never for nothing.

use twin_training::Recipe;

/// The loss, as a recipe has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PreferenceLoss {
    /// How strongly it holds to the frozen model.
    pub beta: f64,
    /// Weight of the better answer's mean loss.
    pub nll: f64,
    /// What a token beyond the shorter answer's length counts, above 0 to 1.
    pub ld_alpha: f64,
}

impl PreferenceLoss {
    /// That of a recipe.
    pub fn of(recipe: &Recipe) -> Self {
        Self { beta: recipe.dpo_beta, nll: recipe.dpo_nll, ld_alpha: recipe.dpo_ld_alpha }
    }

    /// The log-probabilities of the better and the worse answer, given the losses of their tokens, in nats; tokens beyond the
    /// shorter one's length count less.
    pub fn log_probabilities(&self, answers: [&[f32]; 2]) -> [f64; 2] {
        let common = common(answers);
        answers.map(|losses| {
            let terms = losses.iter().enumerate().map(|(place, loss)| self.weight(place, common) * f64::from(*loss));
            -terms.sum::<f64>()
        })
    }

    /// The loss of a pair, given its tokens' losses and the frozen model's [`Self::log_probabilities`].
    pub fn loss(&self, answers: [&[f32]; 2], frozen: [f64; 2]) -> f64 {
        let [better, _] = answers;
        let mean = better.iter().map(|loss| f64::from(*loss)).sum::<f64>() / better.len() as f64;
        let kept = if self.nll == 0.0 { 0.0 } else { self.nll * mean };
        preference_loss(self.margin(answers, frozen)) + kept
    }

    /// The derivative of [`Self::loss`] for the loss of each token, the better answer's first.
    pub fn slopes(&self, answers: [&[f32]; 2], frozen: [f64; 2]) -> Vec<f64> {
        // A token's loss is its negative log-probability, so the better answer's losses lower the margin.
        let slope = -preference_slope(self.margin(answers, frozen)) * self.beta;
        let (common, [better, worse]) = (common(answers), answers);
        let kept = self.nll / better.len() as f64;
        let of_better = (0..better.len()).map(|place| slope * self.weight(place, common) + kept);
        let of_worse = (0..worse.len()).map(|place| -slope * self.weight(place, common));
        of_better.chain(of_worse).collect()
    }

    /// `beta` times by how much more than the frozen model the trained one prefers the better answer.
    fn margin(&self, answers: [&[f32]; 2], frozen: [f64; 2]) -> f64 {
        let [better, worse] = self.log_probabilities(answers);
        self.beta * ((better - frozen[0]) - (worse - frozen[1]))
    }

    fn weight(&self, place: usize, common: usize) -> f64 {
        if place < common { 1.0 } else { self.ld_alpha }
    }
}

/// Tokens of the shorter answer.
fn common(answers: [&[f32]; 2]) -> usize {
    let [better, worse] = answers.map(<[f32]>::len);
    better.min(worse)
}

/// `-ln sigmoid(margin)`, without overflow.
pub fn preference_loss(margin: f64) -> f64 {
    (-margin.abs()).exp().ln_1p() + (-margin).max(0.0)
}

/// The derivative of [`preference_loss`].
pub fn preference_slope(margin: f64) -> f64 {
    -1.0 / (1.0 + margin.exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: PreferenceLoss = PreferenceLoss { beta: 0.1, nll: 0.0, ld_alpha: 1.0 };
    const BOTH: PreferenceLoss = PreferenceLoss { beta: 0.5, nll: 0.2, ld_alpha: 0.5 };
    const BETTER: &[f32] = &[0.5, 1.0, 0.25];
    const WORSE: &[f32] = &[2.0, 0.5, 1.5, 3.0, 0.75];
    const FROZEN: [f64; 2] = [-2.5, -6.0];

    #[test]
    fn without_its_terms_it_is_the_loss_of_the_first_paper() {
        let margin = 0.1 * ((-1.75 + 2.5) - (-7.75 + 6.0));
        assert!((PLAIN.loss([BETTER, WORSE], FROZEN) - preference_loss(margin)).abs() < 1e-12);
        let slope = -preference_slope(margin) * 0.1;
        assert_eq!(PLAIN.slopes([BETTER, WORSE], FROZEN), [[slope; 3].as_slice(), &[-slope; 5]].concat());
    }

    #[test]
    fn the_tokens_beyond_the_shorter_answer_count_less_and_the_better_answer_is_kept_likely() {
        // By hand: the worse answer's first three tokens cost 4, the other two 3.75 times 0.5.
        assert_eq!(BOTH.log_probabilities([BETTER, WORSE]), [-1.75, -5.875]);
        assert_eq!(BOTH.log_probabilities([WORSE, BETTER]), [-5.875, -1.75], "whichever is longer");
        let margin = 0.5 * ((-1.75 + 2.5) - (-5.875 + 6.0));
        let expected = preference_loss(margin) + 0.2 * 1.75 / 3.0;
        assert!((BOTH.loss([BETTER, WORSE], FROZEN) - expected).abs() < 1e-12);
    }

    #[test]
    fn its_derivatives_are_those_of_finite_differences() {
        for (loss, answers) in [(PLAIN, [BETTER, WORSE]), (BOTH, [BETTER, WORSE]), (BOTH, [WORSE, BETTER])] {
            let slopes = loss.slopes(answers, FROZEN);
            let lengths = answers.map(<[f32]>::len);
            assert_eq!(slopes.len(), lengths[0] + lengths[1]);
            for (place, slope) in slopes.iter().enumerate() {
                // A power of two, which single precision adds exactly.
                let step = 1.0 / 1024.0;
                let moved = |by: f32| {
                    let mut all: Vec<f32> = answers.concat();
                    all[place] += by;
                    let (better, worse) = all.split_at(lengths[0]);
                    loss.loss([better, worse], FROZEN)
                };
                let numeric = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
                assert!((numeric - slope).abs() < 1e-6, "{loss:?}, token {place}: {slope} is not {numeric}");
            }
        }
    }

    #[test]
    fn the_end_of_the_worse_answer_counts_however_long_it_is() {
        for loss in [PLAIN, BOTH] {
            let worse = loss.slopes([BETTER, WORSE], FROZEN).pop();
            assert!(worse.is_some_and(|slope| slope < 0.0), "its end is to become less likely: {worse:?}");
            let shorter = loss.slopes([WORSE, BETTER], FROZEN).pop();
            assert!(shorter.is_some_and(|slope| slope < 0.0), "{shorter:?}");
        }
    }
}
