//! Penalties that hold back what the answer has written already. mistral.rs 0.8.1 counts the tokens of the prompt, too: the
//! longer the passages that a model is given, the less it could use their words, and the commonest words not at all.

use std::sync::atomic::{AtomicUsize, Ordering};

use mistralrs::{CustomLogitsProcessor, Result, Tensor};

/// Takes from a token's logit `frequency` for each time that it stands in the answer, and `presence` if it does at all
/// (<https://platform.openai.com/docs/api-reference/chat/create>). One of these is for one answer.
pub(crate) struct Penalties {
    frequency: f32,
    presence: f32,
    /// Tokens of the prompt: those that stand there when the first token is drawn.
    prompt: AtomicUsize,
}

impl Penalties {
    /// None if neither has an effect.
    pub(crate) fn new(frequency: f32, presence: f32) -> Option<Self> {
        let has_effect = frequency != 0.0 || presence != 0.0;
        has_effect.then_some(Self { frequency, presence, prompt: AtomicUsize::new(usize::MAX) })
    }

    fn hold_back(&self, logits: &mut [f32], context: &[u32]) {
        let prompt = self.prompt.fetch_min(context.len(), Ordering::Relaxed).min(context.len());
        let mut written = context[prompt..].to_vec();
        written.sort_unstable();
        for same in written.chunk_by(|a, b| a == b) {
            // A token beyond the vocabulary has no logit.
            if let Some(logit) = logits.get_mut(same[0] as usize) {
                *logit -= self.frequency * same.len() as f32 + self.presence;
            }
        }
    }
}

impl CustomLogitsProcessor for Penalties {
    fn apply(&self, logits: &Tensor, context: &[u32]) -> Result<Tensor> {
        let mut held_back: Vec<f32> = logits.to_vec1()?;
        self.hold_back(&mut held_back, context);
        Tensor::from_vec(held_back, logits.shape(), logits.device())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_answer_has_written_is_held_back_each_time_the_more() {
        let penalties = Penalties::new(0.5, 0.25).unwrap();
        let after = |context: &[u32]| {
            let mut logits = vec![1.0; 4];
            penalties.hold_back(&mut logits, context);
            logits
        };
        assert_eq!(after(&[0, 0, 1]), [1.0; 4], "the prompt counts for nothing");
        assert_eq!(after(&[0, 0, 1, 2]), [1.0, 1.0, 0.25, 1.0]);
        assert_eq!(after(&[0, 0, 1, 2, 2, 9]), [1.0, 1.0, -0.25, 1.0], "twice, and one that is no token");
    }

    #[test]
    fn none_is_there_where_it_has_no_effect_and_a_negative_one_has_one() {
        assert!(Penalties::new(0.0, 0.0).is_none());
        let penalties = Penalties::new(-0.5, 0.0).unwrap();
        let mut logits = vec![0.0; 2];
        penalties.hold_back(&mut logits, &[0]);
        penalties.hold_back(&mut logits, &[0, 1]);
        assert_eq!(logits, [0.0, 0.5]);
    }
}
