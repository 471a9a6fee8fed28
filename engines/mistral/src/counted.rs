//! Counts the tokens of an answer: for a prompt of tokens mistral.rs 0.8.1 does not tell how many they were.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mistralrs::{CustomLogitsProcessor, Result, Tensor};

/// How many tokens were drawn for one answer. It changes nothing of what is drawn; its clones count the same answer.
#[derive(Clone)]
pub(crate) struct Counted {
    /// Tokens that stood there when the first was drawn: those of the prompt.
    first: Arc<AtomicUsize>,
    /// Tokens that stood there when the last was drawn.
    last: Arc<AtomicUsize>,
}

impl Counted {
    pub(crate) fn new() -> Self {
        Self { first: Arc::new(AtomicUsize::new(usize::MAX)), last: Arc::new(AtomicUsize::new(0)) }
    }

    /// Tokens so far, the one that ends the answer included.
    pub(crate) fn tokens(&self) -> u32 {
        let (first, last) = (self.first.load(Ordering::Relaxed), self.last.load(Ordering::Relaxed));
        let drawn = if first == usize::MAX { 0 } else { last.saturating_sub(first) + 1 };
        u32::try_from(drawn).unwrap_or(u32::MAX)
    }

    fn saw(&self, tokens: usize) {
        self.first.fetch_min(tokens, Ordering::Relaxed);
        self.last.fetch_max(tokens, Ordering::Relaxed);
    }
}

impl CustomLogitsProcessor for Counted {
    fn apply(&self, logits: &Tensor, context: &[u32]) -> Result<Tensor> {
        self.saw(context.len());
        Ok(logits.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_looked_at_twice_is_one() {
        let counted = Counted::new();
        assert_eq!(counted.tokens(), 0);
        // A constraint makes mistral.rs look again.
        [7, 7, 8, 9, 9].into_iter().for_each(|tokens| counted.clone().saw(tokens));
        assert_eq!(counted.tokens(), 3);
    }
}
