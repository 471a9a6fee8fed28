//! One dead-letter topic from its newest letter to its oldest.

use super::DeadLetters;
use super::record::{DeadLetter, Entry};
use crate::Error;

/// Offsets read in the first step backwards; each further step is twice as large, up to the largest.
const FIRST_STEP: u64 = 64;
const LARGEST_STEP: u64 = 1_024;

/// Reads in steps of bounded size. Values are let go of at once.
pub(super) struct Backwards<'a> {
    letters: &'a DeadLetters,
    topic: &'static str,
    begin: u64,
    /// Everything from here on was read.
    before: u64,
    step: u64,
    /// Read and not taken yet, oldest first, each with its offset.
    ready: Vec<(u64, DeadLetter)>,
}

impl<'a> Backwards<'a> {
    /// The letters of `topic` whose offsets are in the range.
    pub(super) fn new(letters: &'a DeadLetters, topic: &'static str, begin: u64, before: u64) -> Self {
        Self { letters, topic, begin, before: before.max(begin), step: FIRST_STEP, ready: Vec::new() }
    }

    /// The newest letter that was not taken.
    pub(super) async fn newest(&mut self) -> Result<Option<&DeadLetter>, Error> {
        while self.ready.is_empty() && self.before > self.begin {
            let from = self.before.saturating_sub(self.step).max(self.begin);
            let ready = &mut self.ready;
            let keep = |offset, entry| match entry {
                Entry::Letter(letter) => ready.push((offset, letter.without_value())),
                Entry::Replayed(_) => {}
            };
            self.letters.read(self.topic, from..self.before, keep).await?;
            self.before = from;
            self.step = (self.step * 2).min(LARGEST_STEP);
        }
        Ok(self.ready.last().map(|(_, letter)| letter))
    }

    /// Takes what [`Self::newest`] has shown, with its offset.
    pub(super) fn take(&mut self) -> Option<(u64, DeadLetter)> {
        self.ready.pop()
    }

    pub(super) fn topic(&self) -> &'static str {
        self.topic
    }

    /// The offset before which nothing was taken.
    pub(super) fn position(&self) -> u64 {
        self.ready.last().map_or(self.before, |(offset, _)| offset + 1)
    }

    /// Whether nothing is left.
    pub(super) fn is_at_its_end(&self) -> bool {
        self.ready.is_empty() && self.before <= self.begin
    }
}
