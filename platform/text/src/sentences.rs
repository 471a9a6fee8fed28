//! Where sentences end, and which lean on what stands before them.

use std::ops::Range;

/// Words that a full stop ends without ending a sentence.
const ABBREVIATIONS: &[&str] = &[
    "e.g", "i.e", "cf", "vs", "etc", "mr", "mrs", "ms", "dr", "prof", "st", "no", "fig", "eq", "approx", "resp", "al",
    "bzw", "z.b", "d.h", "ca", "inc", "ltd", "jr", "sr", "vol", "pp", "ed", "u.s",
];

/// Words that lean on what was said before.
const LEANING: &[&str] = &[
    "this",
    "that",
    "these",
    "those",
    "it",
    "its",
    "they",
    "he",
    "she",
    "and",
    "but",
    "so",
    "or",
    "though",
    "however",
    "then",
    "also",
    "instead",
    "which",
    "here",
    "there",
    "such",
    "both",
    "otherwise",
    "similarly",
];

/// The sentences of a paragraph, without the white space between them. They cover everything else of it.
pub fn sentences(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let paragraph = &text[range.clone()];
    let mut found = Vec::new();
    let mut start = 0;
    let mut characters = paragraph.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if !is_end(character) {
            continue;
        }
        let mut end = at + character.len_utf8();
        // Closing quotation marks and brackets, and further marks, belong to the sentence.
        while let Some((at, next)) = characters.next_if(|(_, next)| is_end(*next) || is_closing(*next)) {
            end = at + next.len_utf8();
        }
        let wide = matches!(character, '。' | '！' | '？');
        if wide || (begins_anew(&paragraph[end..]) && !(character == '.' && is_abbreviation(&paragraph[start..at]))) {
            push(&mut found, paragraph, start..end, range.start);
            start = end;
        }
    }
    push(&mut found, paragraph, start..paragraph.len(), range.start);
    found
}

fn push(found: &mut Vec<Range<usize>>, paragraph: &str, range: Range<usize>, offset: usize) {
    let sentence = &paragraph[range.clone()];
    let trimmed = sentence.trim();
    if !trimmed.is_empty() {
        let start = offset + range.start + (sentence.len() - sentence.trim_start().len());
        found.push(start..start + trimmed.len());
    }
}

/// Whether a text ends as a sentence does.
pub fn ends_sentence(text: &str) -> bool {
    text.trim_end().trim_end_matches(is_closing).ends_with(is_end)
}

/// Whether it begins with a word that leans on what was said before: `This`, `It`, `However`.
pub fn leans(text: &str) -> bool {
    let first = text.split(|c: char| !c.is_alphabetic()).next().unwrap_or("").to_lowercase();
    LEANING.contains(&first.as_str())
}

fn is_end(character: char) -> bool {
    matches!(character, '.' | '!' | '?' | '…' | '。' | '！' | '？')
}

fn is_closing(character: char) -> bool {
    matches!(character, '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '*' | '_')
}

/// White space, and then no small letter.
fn begins_anew(rest: &str) -> bool {
    let next = rest.trim_start();
    next.len() < rest.len() && !next.starts_with(char::is_lowercase)
}

fn is_abbreviation(before: &str) -> bool {
    // No abbreviation is longer: a word of megabytes is not read again for each of its stops.
    let tail = &before[before.ceil_char_boundary(before.len().saturating_sub(16))..];
    let word = tail.rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '[')).next().unwrap_or("");
    let is_initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    is_initial || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text, 0..text.len()).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn sentences_end_where_a_reader_ends_them() {
        let text = "It rains, e.g. in May. J. Smith said \"no!\" Version 1.2 came.  So?";
        assert_eq!(split(text), ["It rains, e.g. in May.", "J. Smith said \"no!\"", "Version 1.2 came.", "So?"]);
        assert_eq!(split("終わり。次。"), ["終わり。", "次。"]);
        assert_eq!(split("no end"), ["no end"]);
        assert!(split("  \n ").is_empty());
    }

    #[test]
    fn what_ends_as_a_sentence_is_told() {
        assert!(ends_sentence("He said \"no.\"  ") && ends_sentence("Why?") && !ends_sentence("as follows:"));
    }

    #[test]
    fn a_sentence_leans_by_its_first_word() {
        assert!(leans("This holds.") && leans("It's so.") && leans("However, no."));
        assert!(!leans("Rivers do this.") && !leans("Item one.") && !leans("`it` is a name."));
    }
}
