//! What a grounded answer says: the author's sentences, with the marker of the passage behind each statement, as in serving.

use std::ops::Range;

use twin_llm::quoted;
use twin_text::sentences::{ends_sentence, sentences};

use crate::quotation::has_marker;

/// Characters of sentences that are given beside a quotation.
const MOST_CHARS: usize = 500;

/// A passage's sentence that answers, and where the passage stands.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// The passage.
    pub text: &'a str,
    /// Its sentence, or two.
    pub quote: &'a str,
    /// Its marker, from 1.
    pub marker: u64,
    /// Characters of the passage that a model sees.
    pub limit: usize,
}

/// The answer in one of its forms, which a number decides: a quotation alone; the author's prose around it, without
/// quotation marks; or the sentence before it and the quotation.
pub(super) fn answer(source: Source<'_>, number: u64) -> String {
    let Source { text, quote, marker, .. } = source;
    let alone = || format!("\"{quote}\" [{marker}]");
    match number % 10 {
        0..=4 => alone(),
        5..=7 => around(source).map_or_else(alone, |range| format!("{} [{marker}]", &text[range])),
        _ => match before(source) {
            Some(range) => format!("{} [{marker}] {}", &text[range], alone()),
            None => alone(),
        },
    }
}

/// The answer that two passages give together.
pub(super) fn of_two(one: Source<'_>, other: Source<'_>) -> String {
    format!("\"{}\" [{}] \"{}\" [{}]", one.quote, one.marker, other.quote, other.marker)
}

/// The quotation with the sentence before it, or else with the one behind it.
fn around(source: Source<'_>) -> Option<Range<usize>> {
    let quote = place(source)?;
    let with_before = before(source).map(|before| before.start..quote.end);
    with_before.or_else(|| behind(source).map(|behind| quote.start..behind.end))
}

fn before(source: Source<'_>) -> Option<Range<usize>> {
    let quote = place(source)?;
    let sentence = neighbours(source).into_iter().rev().find(|sentence| sentence.end <= quote.start)?;
    let gap = source.text.get(sentence.end..quote.start)?;
    (gap.trim_matches([' ', '\n']).is_empty() && !gap.contains("\n\n")).then_some(sentence)
}

fn behind(source: Source<'_>) -> Option<Range<usize>> {
    let quote = place(source)?;
    let sentence = neighbours(source).into_iter().find(|sentence| sentence.start >= quote.end)?;
    let gap = source.text.get(quote.end..sentence.start)?;
    (gap.trim_matches([' ', '\n']).is_empty() && !gap.contains("\n\n")).then_some(sentence)
}

fn place(source: Source<'_>) -> Option<Range<usize>> {
    let start = source.text.find(source.quote)?;
    Some(start..start + source.quote.len())
}

/// The passage's sentences that can stand in an answer as they are, of those that a model sees.
fn neighbours(source: Source<'_>) -> Vec<Range<usize>> {
    let text = source.text;
    let end = text.char_indices().nth(source.limit).map_or(text.len(), |(at, _)| at);
    let is_fit = |sentence: &Range<usize>| {
        let said = &text[sentence.clone()];
        sentence.end <= end
            && said.chars().count() <= MOST_CHARS
            && ends_sentence(said)
            && !said.contains(['"', '|', '\n'])
            && !said.starts_with(['#', '>', '<', '!', '[', '-', '*', '+'])
            && !has_marker(said)
            && quoted(said) == said
    };
    sentences(text, 0..text.len()).into_iter().filter(is_fit).collect()
}

/// What an answer says, piece by piece: without markers and quotation marks. None if a piece has no marker behind it.
pub(crate) fn pieces(answer: &str) -> Option<Vec<&str>> {
    let mut pieces = Vec::new();
    let mut rest = answer;
    while !rest.is_empty() {
        let (at, length) = marker(rest)?;
        let piece = rest[..at].trim();
        let piece = piece.strip_prefix('"').and_then(|piece| piece.strip_suffix('"')).unwrap_or(piece);
        pieces.push(piece);
        rest = &rest[at + length..];
    }
    (!pieces.is_empty()).then_some(pieces)
}

/// The place and length of the first `[3]`.
fn marker(text: &str) -> Option<(usize, usize)> {
    text.match_indices('[').find_map(|(at, _)| {
        let after = &text[at + 1..];
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        (digits > 0 && after[digits..].starts_with(']')).then_some((at, digits + 2))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Rivers bend. They do so where the banks give way to the water. It takes years.";

    fn source(quote: &str) -> Source<'_> {
        Source { text: TEXT, quote, marker: 2, limit: 1_600 }
    }

    #[test]
    fn an_answer_is_a_quotation_alone_or_stands_in_the_authors_prose() {
        let quote = "They do so where the banks give way to the water.";
        let forms: std::collections::BTreeSet<String> = (0..10).map(|number| answer(source(quote), number)).collect();
        let expected = [
            format!("\"{quote}\" [2]"),
            format!("Rivers bend. {quote} [2]"),
            format!("Rivers bend. [2] \"{quote}\" [2]"),
        ];
        assert_eq!(forms.into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(
            answer(source("Rivers bend."), 5),
            "Rivers bend. They do so where the banks give way to the water. [2]"
        );
        let unseen = Source { limit: 20, ..source("Rivers bend.") };
        assert_eq!(answer(unseen, 5), "\"Rivers bend.\" [2]");
    }

    #[test]
    fn the_pieces_of_an_answer_are_what_it_says_of_its_passages() {
        let two = of_two(source("Rivers bend."), Source { marker: 1, ..source("It takes years.") });
        assert_eq!(pieces(&two).unwrap(), ["Rivers bend.", "It takes years."]);
        assert_eq!(pieces("So [sic] it is. [12]").unwrap(), ["So [sic] it is."]);
        for bad in ["", "no marker", "\"a\" [1] and more"] {
            assert_eq!(pieces(bad), None, "{bad}");
        }
    }
}
