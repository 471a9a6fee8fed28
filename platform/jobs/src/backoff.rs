//! Waiting for what is away, longer from time to time.

use std::time::Duration;

use tokio::time::Instant;

/// Pauses between tries: each twice as long as the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// The first.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(60) }
    }
}

/// Where somebody who waits is.
#[derive(Debug)]
pub(crate) struct Backoff {
    pauses: Pauses,
    next: Duration,
    until: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new(pauses: Pauses) -> Self {
        Self { pauses, next: pauses.first, until: None }
    }

    /// Begins a pause.
    pub(crate) fn wait(&mut self) {
        self.until = Some(Instant::now() + self.next);
        self.next = (self.next * 2).min(self.pauses.longest);
    }

    /// Whether a pause is under way, or over and nobody has looked since.
    pub(crate) fn has_begun(&self) -> bool {
        self.until.is_some()
    }

    /// Whether it is time to try. Ends a pause that is over.
    pub(crate) fn is_over(&mut self) -> bool {
        if self.until.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        self.until = None;
        true
    }

    /// All is well again.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.pauses);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pauses_grow_to_the_longest_and_begin_anew_when_all_is_well() {
        let pauses = Pauses { first: Duration::from_millis(20), longest: Duration::from_millis(40) };
        let mut backoff = Backoff::new(pauses);
        assert!(backoff.is_over() && !backoff.has_begun(), "there is nothing to wait for");
        for pause in [20, 40, 40] {
            let begun = Instant::now();
            backoff.wait();
            while !backoff.is_over() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(begun.elapsed() >= Duration::from_millis(pause), "{pause} ms");
        }
        backoff.reset();
        assert_eq!(backoff.next, pauses.first);
    }
}
