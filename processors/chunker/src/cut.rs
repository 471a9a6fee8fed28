//! Cutting a stretch of text that is too long, at the best places.

use std::ops::Range;

use twin_embedding::Tokenizer;

use crate::Error;
use crate::options::Options;
use crate::structure::{Rank, Structure};
use crate::units::Units;

/// The most bytes of a chunk, but for white space after its last token. Prose has 1 kB in 254 tokens; this bounds
/// text that the tokenizer knows no words of.
pub(crate) const MAX_CHUNK_BYTES: usize = 16 << 10;

/// A range of units that fits, and its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fitting {
    pub units: Range<usize>,
    pub tokens: usize,
}

/// What is needed to cut a text.
pub(crate) struct Cutter<'a> {
    text: &'a str,
    units: &'a Units,
    tokenizer: &'a dyn Tokenizer,
    options: &'a Options,
    /// Fenced code blocks as ranges of units.
    fences: Vec<Range<usize>>,
}

impl<'a> Cutter<'a> {
    pub(crate) fn new(
        text: &'a str,
        units: &'a Units,
        structure: &Structure,
        tokenizer: &'a dyn Tokenizer,
        options: &'a Options,
    ) -> Self {
        let fences = match structure.is_code {
            true => Vec::new(),
            false => structure.verbatim.iter().map(|range| units.at(range.start)..units.at(range.end)).collect(),
        };
        Self { text, units, tokenizer, options, fences }
    }

    /// Cuts a range of units into parts that fit, in order and without gap.
    pub(crate) fn cut(&self, range: Range<usize>) -> Result<Vec<Fitting>, Error> {
        let mut parts = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let part = self.first_fitting(start, range.end)?;
            start = part.units.end;
            parts.push(part);
        }
        Ok(parts)
    }

    /// The first part of `start..end`. Where an edge lies inside a word, its two parts may have more tokens than
    /// the word: then the limit is lowered until the part, counted from its own text, fits.
    fn first_fitting(&self, start: usize, end: usize) -> Result<Fitting, Error> {
        let mut limit = self.options.max_tokens;
        loop {
            let cut = self.choose(start, end, limit);
            let tokens = self.exact_tokens(start..cut)?;
            if tokens <= self.options.max_tokens || cut == start + 1 {
                return Ok(Fitting { units: start..cut, tokens });
            }
            limit = limit.saturating_sub(tokens - self.options.max_tokens);
        }
    }

    fn exact_tokens(&self, units: Range<usize>) -> Result<usize, Error> {
        let clean = |index| self.units.rank(index) > Rank::InsideWord;
        if clean(units.start) && clean(units.end) {
            return Ok(self.units.tokens(units));
        }
        Ok(self.tokenizer.count(&self.text[self.units.cut(units.start)..self.units.cut(units.end)])?)
    }

    /// Where to end the part that begins at `start`: the last of the best places between the least size and
    /// the limit.
    fn choose(&self, start: usize, end: usize, limit: usize) -> usize {
        let furthest = self.units.last_within(start, end, limit, MAX_CHUNK_BYTES);
        if furthest == end {
            return end;
        }
        let least_tokens = (limit as f64 * self.options.min_share) as usize;
        let least = self.units.last_within(start, furthest, least_tokens, MAX_CHUNK_BYTES);
        let latest = self.keep_a_tail(start, end, least, furthest);
        let best = (least..=latest).max_by_key(|&index| (self.units.quality(index), index)).unwrap_or(latest);
        self.before_fence(start, best)
    }

    /// The latest place that leaves no tiny rest: rather two middling chunks than a full one and a scrap.
    fn keep_a_tail(&self, start: usize, end: usize, least: usize, furthest: usize) -> usize {
        let all = self.units.tokens(start..end);
        if all - self.units.tokens(start..furthest) >= self.options.merge_below_tokens {
            return furthest;
        }
        let tokens = all.saturating_sub(self.options.merge_below_tokens);
        self.units.last_within(start, furthest, tokens, MAX_CHUNK_BYTES).max(least)
    }

    /// A place inside a fenced block that fits whole is moved before the block, unless only a heading is left there.
    fn before_fence(&self, start: usize, cut: usize) -> usize {
        let index = self.fences.partition_point(|fence| fence.end <= cut);
        match self.fences.get(index) {
            Some(fence)
                if (start + 1..cut).contains(&fence.start)
                    && self.units.rank(fence.start) > Rank::Word
                    && self.units.tokens(fence.clone()) <= self.options.max_tokens =>
            {
                fence.start
            }
            _ => cut,
        }
    }
}
