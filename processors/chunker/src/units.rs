//! The smallest pieces that a text is cut into: one token, as a rule.

use std::cmp::Reverse;
use std::iter::Peekable;
use std::ops::Range;
use std::slice::Iter;

use twin_embedding::TokenSpan;

use crate::structure::{LineStart, Rank, Structure};

/// A token longer than this (an unknown word: a data URL, a row of one letter) is cut too, so that no chunk is
/// much longer than [`crate::cut::MAX_CHUNK_BYTES`].
const LONG_TOKEN_BYTES: usize = 4 << 10;

/// A piece of text that is never cut, with the place before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Where a cut before it would fall: at its first token, or at the start of that token's line.
    pub cut: usize,
    /// The first byte of its first token.
    pub start: usize,
    /// Tokens of the text before it.
    pub tokens_before: usize,
    /// How good a cut before it is.
    pub rank: Rank,
    /// Indentation of its line, where it is the first of a line of code.
    pub indent: u16,
}

/// A text's units.
#[derive(Debug, Clone)]
pub(crate) struct Units {
    units: Vec<Unit>,
    tokens: usize,
    text_bytes: usize,
}

impl Units {
    /// Measures a text. Bytes between two tokens belong to the unit before them; those before the first token to
    /// the first unit.
    pub(crate) fn new(text: &str, spans: &[TokenSpan], structure: &Structure) -> Self {
        let mut builder = Builder {
            text,
            lines: structure.lines.iter().peekable(),
            verbatim: structure.verbatim.iter().peekable(),
            units: Vec::with_capacity(spans.len()),
            previous_end: 0,
        };
        for (index, span) in spans.iter().enumerate() {
            builder.token(index, *span);
        }
        let mut units = builder.units;
        if let Some(first) = units.first_mut() {
            first.cut = 0;
        }
        debug_assert!(units.windows(2).all(|pair| pair[0].cut < pair[1].cut));
        Self { units, tokens: spans.len(), text_bytes: text.len() }
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.units.len()
    }

    /// The place before a unit, or the text's end.
    pub(crate) fn cut(&self, index: usize) -> usize {
        self.units.get(index).map_or(self.text_bytes, |unit| unit.cut)
    }

    /// How good a cut before a unit is. The text's ends are as good as it gets.
    pub(crate) fn rank(&self, index: usize) -> Rank {
        self.units.get(index).filter(|_| index > 0).map_or(Rank::Heading, |unit| unit.rank)
    }

    /// What makes one place better than another: its rank, then how little its line is indented.
    pub(crate) fn quality(&self, index: usize) -> (Rank, Reverse<u16>) {
        (self.rank(index), Reverse(self.units.get(index).map_or(0, |unit| unit.indent)))
    }

    /// Tokens of a range of units.
    pub(crate) fn tokens(&self, range: Range<usize>) -> usize {
        self.tokens_before(range.end) - self.tokens_before(range.start)
    }

    fn tokens_before(&self, index: usize) -> usize {
        self.units.get(index).map_or(self.tokens, |unit| unit.tokens_before)
    }

    /// The first unit that begins at this byte or after it.
    pub(crate) fn at(&self, byte: usize) -> usize {
        self.units.partition_point(|unit| unit.start < byte)
    }

    /// The last index in `start..=end` with at most this many tokens and bytes before it, counted from `start`; at
    /// least the one after `start`.
    pub(crate) fn last_within(&self, start: usize, end: usize, tokens: usize, bytes: usize) -> usize {
        let (first_token, first_byte) = (self.tokens_before(start), self.cut(start));
        let fits = |unit: &Unit| unit.tokens_before - first_token <= tokens && unit.cut - first_byte <= bytes;
        let index = start + self.units[start..end].partition_point(fits);
        // `index` is the first that does not fit, or `end`, which has to be looked at by itself.
        let end_fits = self.tokens_before(end) - first_token <= tokens && self.cut(end) - first_byte <= bytes;
        if index == end && end_fits { end } else { (index - 1).max(start + 1) }
    }
}

struct Builder<'a> {
    text: &'a str,
    lines: Peekable<Iter<'a, LineStart>>,
    verbatim: Peekable<Iter<'a, Range<usize>>>,
    units: Vec<Unit>,
    previous_end: usize,
}

impl Builder<'_> {
    fn token(&mut self, index: usize, span: TokenSpan) {
        // A character that the tokenizer takes apart (a Hangul syllable) has several tokens in one place.
        if index > 0 && span.start < self.previous_end {
            self.previous_end = self.previous_end.max(span.end);
            return;
        }
        let LineStart { byte: cut, rank, indent } = self.place_before(span);
        self.units.push(Unit { cut, start: span.start, tokens_before: index, rank, indent });
        self.previous_end = span.end;
        self.split_long_token(index, span);
    }

    /// Units of [`LONG_TOKEN_BYTES`] and more inside a long token, which stays one token in the count.
    fn split_long_token(&mut self, index: usize, span: TokenSpan) {
        let mut start = self.text.ceil_char_boundary(span.start + LONG_TOKEN_BYTES);
        while start + LONG_TOKEN_BYTES <= span.end {
            // Each part is a token by itself once it is cut off, but the sum over the document must stay what the
            // tokenizer says: the exact count of a chunk with such an edge is taken from its text.
            self.units.push(Unit { cut: start, start, tokens_before: index + 1, rank: Rank::InsideWord, indent: 0 });
            start = self.text.ceil_char_boundary(start + LONG_TOKEN_BYTES);
        }
    }

    /// Where a cut before this token falls, and how good it is.
    fn place_before(&mut self, span: TokenSpan) -> LineStart {
        let mut line: Option<LineStart> = None;
        while let Some(next) = self.lines.next_if(|next| next.byte <= span.start) {
            if next.byte >= self.previous_end {
                // Lines without any token may lie between: the best of them counts, cut is at the last.
                let rank = line.map_or(next.rank, |line| line.rank.max(next.rank));
                line = Some(LineStart { rank, ..*next });
            }
        }
        line.unwrap_or_else(|| LineStart { byte: span.start, rank: self.rank_within_line(span), indent: 0 })
    }

    fn rank_within_line(&mut self, span: TokenSpan) -> Rank {
        while self.verbatim.next_if(|range| range.end <= span.start).is_some() {}
        let verbatim = self.verbatim.peek().is_some_and(|range| range.contains(&span.start));
        let gap = &self.text[self.previous_end..span.start];
        let spaced = gap.contains(char::is_whitespace);
        if !verbatim && ends_sentence(&self.text[..self.previous_end], &self.text[span.start..], spaced) {
            return Rank::Sentence;
        }
        match (spaced, span.starts_word) {
            (true, _) => Rank::Space,
            (false, true) => Rank::Word,
            (false, false) => Rank::InsideWord,
        }
    }
}

/// Whether a sentence ends between the two texts.
fn ends_sentence(before: &str, after: &str, spaced: bool) -> bool {
    let closing = ['"', '\'', '”', '’', ')', ']', '»', '」', '』', '*', '_'];
    // Few closing marks follow each other; a row of a million of them is no sentence.
    let mut characters = before.chars().rev();
    let Some(mark) = characters.by_ref().take(4).find(|c| !closing.contains(c)) else {
        return false;
    };
    match mark {
        '。' | '！' | '？' => true,
        '!' | '?' | '…' => spaced,
        '.' if spaced => {
            // "J. Smith", "e.g. this": one letter before the mark is no sentence.
            let one_letter = characters.next().is_some_and(char::is_alphabetic)
                && characters.next().is_none_or(|c| !c.is_alphanumeric());
            !one_letter && !after.starts_with(char::is_lowercase)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown;

    /// Words and punctuation as tokens: enough to test places.
    fn spans(text: &str) -> Vec<TokenSpan> {
        let mut spans: Vec<TokenSpan> = Vec::new();
        for (start, c) in text.char_indices().filter(|(_, c)| !c.is_whitespace()) {
            match spans.last_mut() {
                Some(last)
                    if last.end == start && c.is_alphanumeric() && text[..start].ends_with(char::is_alphanumeric) =>
                {
                    last.end = start + c.len_utf8();
                }
                _ => spans.push(TokenSpan { start, end: start + c.len_utf8(), starts_word: true }),
            }
        }
        spans
    }

    fn places(text: &str, rank: Rank) -> Vec<&str> {
        let units = Units::new(text, &spans(text), &markdown::scan(text).0);
        let word = |index: usize| text[units.cut(index)..].split([' ', '\n', '.']).next().unwrap();
        (1..units.len()).filter(|&index| units.rank(index) == rank).map(word).collect()
    }

    #[test]
    fn a_sentence_ends_at_its_mark_and_not_at_an_initial_or_an_abbreviation() {
        let text = "He left. She, e.g. Ada, stayed! \"So?\" (Yes.) J. Smith came. 3.5 is more";
        assert_eq!(places(text, Rank::Sentence), ["She,", "\"So?\"", "(Yes", "J", "3"]);
        assert_eq!(places("好。不好！是", Rank::Sentence), ["不好！是", "是"]);
        assert!(places("```\nA. B. Cd. Ef\n```", Rank::Sentence).is_empty());
    }

    #[test]
    fn a_cut_before_an_indented_line_keeps_its_indentation() {
        let text = "a\n\n    b c";
        let units = Units::new(text, &spans(text), &markdown::scan(text).0);
        assert_eq!((units.cut(0), units.cut(1), units.rank(1)), (0, 3, Rank::Block));
        assert_eq!((units.cut(2), units.rank(2)), (9, Rank::Space));
    }

    #[test]
    fn a_token_of_a_million_bytes_is_cut_into_parts() {
        let text = "é".repeat(500_000);
        let whole = [TokenSpan { start: 0, end: text.len(), starts_word: true }];
        let units = Units::new(&text, &whole, &markdown::scan(&text).0);
        assert!(units.len() > 200);
        assert!((1..units.len()).all(|index| text.is_char_boundary(units.cut(index))));
        assert_eq!(units.tokens(0..units.len()), 1);
    }
}
