//! The sentence of a passage that a grounded answer quotes.

use std::ops::Range;

use twin_llm::quoted;
use twin_text::blocks::{Kind, blocks};
use twin_text::markdown::list_item;
use twin_text::natural::Language;
use twin_text::sentences::{ends_sentence, leans, sentences};

use crate::topic::content_words;
use crate::words::word_hashes;

/// Characters of a quotation.
const LEAST_CHARS: usize = 40;
const MOST_CHARS: usize = 400;

/// Below this a quotation takes the next sentence along.
const SHORT_CHARS: usize = 100;

/// Words of a quotation, at least.
const LEAST_WORDS: usize = 6;

/// The range of the passage that best answers a question for `subject`, within its first `limit` characters: what a
/// model sees of it. None if there is no sentence that can be quoted.
pub(crate) fn quotation(
    passage: &str,
    subject: &str,
    limit: usize,
    language: Option<Language>,
) -> Option<Range<usize>> {
    let end = passage.char_indices().nth(limit).map_or(passage.len(), |(at, _)| at);
    let wanted = content_words(subject, language);
    let mut best: Option<(usize, Range<usize>)> = None;
    for block in blocks(passage).blocks {
        if block.kind != Kind::Text {
            continue;
        }
        let sentences = sentences(passage, block.range);
        for (index, sentence) in sentences.iter().enumerate() {
            let sentence = without_mark(passage, sentence.clone());
            let quote = with_next(passage, sentence, sentences.get(index + 1));
            if quote.end > end || !is_quotable(&passage[quote.clone()]) {
                continue;
            }
            let words = content_words(&passage[quote.clone()], language);
            let score = 2 * wanted.iter().filter(|word| words.contains(word)).count()
                + usize::from(!leans(&passage[quote.clone()]));
            if best.as_ref().is_none_or(|(most, _)| score > *most) {
                best = Some((score, quote));
            }
        }
    }
    best.map(|(_, quote)| quote)
}

/// The sentence without the mark of the list item that it begins.
fn without_mark(passage: &str, sentence: Range<usize>) -> Range<usize> {
    match list_item(&passage[sentence.clone()]) {
        Some(item) => sentence.end - item.len()..sentence.end,
        None => sentence,
    }
}

fn with_next(passage: &str, sentence: Range<usize>, next: Option<&Range<usize>>) -> Range<usize> {
    let Some(next) = next.filter(|next| matches!(&passage[sentence.end..next.start], " " | "\n" | "")) else {
        return sentence;
    };
    let joined = sentence.start..next.end;
    let is_short = passage[sentence.clone()].chars().count() < SHORT_CHARS;
    if is_short && is_quotable(&passage[joined.clone()]) { joined } else { sentence }
}

/// Whether a text can stand between quotation marks, before a marker, and in a prompt as it is.
fn is_quotable(text: &str) -> bool {
    let chars = text.chars().count();
    (LEAST_CHARS..=MOST_CHARS).contains(&chars)
        && ends_sentence(text)
        && word_hashes(text).len() >= LEAST_WORDS
        && !text.contains(['"', '|'])
        && !text.lines().skip(1).any(|line| line.trim_start().starts_with(['-', '*', '+', '•', '>', '#']))
        && !text.starts_with(['#', '>', '<', '!', '['])
        && !has_marker(text)
        && quoted(text) == text
}

/// Whether it has `[3]` in it: that would be read as a citation.
pub(crate) fn has_marker(text: &str) -> bool {
    text.split('[').skip(1).any(|rest| {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        after.len() < rest.len() && after.starts_with(']')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: Option<Language> = Some(Language::English);

    #[test]
    fn the_sentence_that_speaks_of_the_subject_is_quoted() {
        let passage = "Nothing here is about the thing you asked for at all, I am afraid to say in advance.\n\n\
            - Meanders form where the water is slow and the banks are soft enough to give way to the river over \
            many years.\n\nSee [1] for what others have said of meanders in their books on the matter.";
        let quote = quotation(passage, "how meanders form", 1_600, ENGLISH).unwrap();
        assert!(passage[quote.clone()].starts_with("Meanders form") && passage[quote].ends_with("years."));
        assert_eq!(quotation(passage, "meanders", 10, ENGLISH), None);
        let cited = "See [1] for what others have said of meanders in their books.";
        assert_eq!(quotation(cited, "meanders", 99, ENGLISH), None);
    }
}
