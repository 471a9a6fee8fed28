//! What a text copies from passages without quotation marks.
//!
//! Compared are words, whatever their case and the marks between them. Words in quotation marks, or in a quotation of
//! Markdown, are quoted and no copies; markers of citations are no words of the text. A run counts if it is longer than a
//! sentence: it has a whole sentence of the passage and some words of its neighbours, or more words than sentences have.

use std::collections::HashMap;
use std::ops::Range;

use twin_text::quotation_marks::closing_of_any;
use twin_text::sentences::sentences;
use twin_text::words::{Word, located_words};

/// Words in common from which on they are no chance: as many as the datasets compare.
const LEAST_WORDS: usize = 8;

/// A run of more words is longer than a sentence, whatever the passage's marks say.
const SENTENCE_WORDS: usize = 30;

/// Words of a sentence, at least: a shorter one (`Yes.`) is a part of its neighbours.
const LEAST_SENTENCE: usize = 4;

/// Words beside a whole sentence from which on a run is longer than it.
const BEYOND: usize = 4;

/// Places in passages that are compared for one place of the text, at most: a passage that says the same thing over and over
/// has thousands.
const MOST_PLACES: usize = 64;

/// A run of words that is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// Where it stands in the text.
    pub range: Range<usize>,
    /// The index of the passage.
    pub passage: usize,
}

/// The runs of a text that are copied from these passages, in order. None overlaps another.
pub(crate) fn copied(text: &str, passages: &[&str]) -> Vec<Run> {
    let passages: Vec<Read> = passages.iter().map(|passage| Read::new(passage)).collect();
    let words: Vec<Vec<&str>> = passages.iter().map(Read::texts).collect();
    let mut places: HashMap<&[&str], Vec<(usize, usize)>> = HashMap::new();
    for (passage, words) in words.iter().enumerate() {
        for (at, sequence) in words.windows(LEAST_WORDS).enumerate() {
            let known = places.entry(sequence).or_default();
            if known.len() < MOST_PLACES {
                known.push((passage, at));
            }
        }
    }
    let mut runs = Vec::new();
    for unquoted in unquoted(text) {
        let sequence: Vec<&str> = unquoted.iter().map(|word| word.text.as_str()).collect();
        let mut at = 0;
        while at + LEAST_WORDS <= sequence.len() {
            let candidates = places.get(&sequence[at..at + LEAST_WORDS]).into_iter().flatten();
            let lengths = candidates.map(|&(passage, place)| {
                let rest = words[passage][place..].iter().zip(&sequence[at..]);
                (rest.take_while(|(a, b)| a == b).count(), passage, place)
            });
            match lengths.filter(|&(length, passage, place)| passages[passage].is_long(place..place + length)).max() {
                Some((length, passage, _)) => {
                    let range = unquoted[at].range.start..unquoted[at + length - 1].range.end;
                    runs.push(Run { range, passage });
                    at += length;
                }
                None => at += 1,
            }
        }
    }
    runs
}

/// A passage's words, and which of them are a sentence each.
struct Read {
    words: Vec<Word>,
    sentences: Vec<Range<usize>>,
}

impl Read {
    fn new(passage: &str) -> Self {
        let words = located_words(passage);
        let mut found = Vec::new();
        for paragraph in paragraphs(passage) {
            for sentence in sentences(passage, paragraph) {
                let first = words.partition_point(|word| word.range.start < sentence.start);
                let end = words.partition_point(|word| word.range.start < sentence.end);
                found.push(first..end);
            }
        }
        Self { words, sentences: found }
    }

    fn texts(&self) -> Vec<&str> {
        self.words.iter().map(|word| word.text.as_str()).collect()
    }

    /// Whether a run of these words is longer than a sentence.
    fn is_long(&self, run: Range<usize>) -> bool {
        let has_more_than = |sentence: &Range<usize>| {
            let is_within = sentence.start >= run.start && sentence.end <= run.end;
            is_within && sentence.len() >= LEAST_SENTENCE && run.len() - sentence.len() >= BEYOND
        };
        run.len() > SENTENCE_WORDS || self.sentences.iter().any(has_more_than)
    }
}

/// The paragraphs of a text: what stands between blank lines.
fn paragraphs(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut is_open = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        match found.last_mut() {
            _ if line.trim().is_empty() => is_open = false,
            Some(paragraph) if is_open => paragraph.end = end,
            _ => {
                found.push(start..end);
                is_open = true;
            }
        }
        start = end;
    }
    found
}

/// Words of a text that follow each other without quotation marks around or between them.
fn unquoted(text: &str) -> Vec<Vec<Word>> {
    let quoted = quoted(text);
    let mut runs: Vec<Vec<Word>> = vec![Vec::new()];
    let mut passed = 0;
    for word in located_words(text) {
        while quoted.get(passed).is_some_and(|range| range.end <= word.range.start) {
            passed += 1;
            runs.push(Vec::new());
        }
        let is_quoted = quoted.get(passed).is_some_and(|range| range.contains(&word.range.start));
        if !is_quoted
            && !is_marker(text, &word.range)
            && let Some(run) = runs.last_mut()
        {
            run.push(word);
        }
    }
    runs
}

/// `[1]`.
fn is_marker(text: &str, word: &Range<usize>) -> bool {
    let is_number = text[word.clone()].chars().all(|c| c.is_ascii_digit());
    is_number && text[..word.start].ends_with('[') && text[word.end..].starts_with(']')
}

/// What stands in quotation marks within a paragraph, and lines that are a quotation of Markdown; in order. A mark that
/// nothing closes quotes nothing.
fn quoted(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for paragraph in paragraphs(text) {
        if text[paragraph.clone()].trim_start().starts_with('>') {
            found.push(paragraph);
            continue;
        }
        let mut opened: Option<(usize, char)> = None;
        for (at, character) in text[paragraph.clone()].char_indices() {
            let at = paragraph.start + at;
            match opened {
                Some((start, mark)) if closing_of_any(mark).contains(&character) => {
                    found.push(start..at + character.len_utf8());
                    opened = None;
                }
                None if !closing_of_any(character).is_empty() => opened = Some((at, character)),
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIVE: &str = "# The hive\n\nThe hive survived the frost because I wrapped it in wool. In February the queen had \
        begun to lay eggs again.\n\nA smoker calms the bees. I light it with dry grass.";

    fn runs(text: &str) -> Vec<&str> {
        copied(text, &[HIVE]).into_iter().map(|run| &text[run.range]).collect()
    }

    #[test]
    fn what_is_longer_than_a_sentence_is_found_whatever_its_case_and_marks() {
        let text = "Well. THE HIVE survived the frost, because I wrapped it in *wool* [1]. In February the queen had begun to \
            rest.";
        let run = "THE HIVE survived the frost, because I wrapped it in *wool* [1]. In February the queen had begun to";
        assert_eq!(runs(text), [run]);
    }

    #[test]
    fn a_sentence_and_parts_of_two_are_no_copies() {
        assert!(runs("The hive survived the frost because I wrapped it in wool.").is_empty());
        assert!(runs("I wrapped it in wool. In February the queen had gone.").is_empty());
        assert!(runs("Bees are not what I write of, nor frost.").is_empty());
    }

    #[test]
    fn what_stands_in_quotation_marks_is_quoted() {
        let two = "The hive survived the frost because I wrapped it in wool. In February the queen had begun to lay eggs again.";
        for text in [
            format!("As I wrote: \"{two}\" [1]"),
            format!("Wie ich schrieb: „{two}“"),
            format!("Comme j'ai dit : « {two} »"),
            format!("As I wrote:\n\n> {two}\n\nSo it was."),
        ] {
            assert!(runs(&text).is_empty(), "{text}");
        }
        let never_closed = format!("As I \"wrote:\n\n{two}");
        assert_eq!(runs(&never_closed), [&two[..two.len() - 1]]);
        let half = format!("{two} \"So it was,\" I said. \"{two}\"");
        assert_eq!(runs(&half).len(), 1, "the first time is a copy, the second is not");
    }

    #[test]
    fn a_run_goes_over_paragraphs_and_the_longest_passage_is_named() {
        let other = "In February the queen had begun to lay eggs again.";
        let text = format!("{other} A smoker calms the bees. I light it with dry grass.");
        let found = copied(&text, &[other, HIVE]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].passage, &text[found[0].range.clone()]), (1, &text[..text.len() - 1]));
    }

    #[test]
    fn a_long_part_of_an_endless_sentence_is_a_copy() {
        let words: Vec<String> = (0..60).map(|number| format!("word{number}")).collect();
        let (endless, part) = (words.join(" "), words[10..45].join(" "));
        assert_eq!(copied(&part, &[&endless]).len(), 1);
        assert!(copied(&words[10..30].join(" "), &[&endless]).is_empty());
    }

    #[test]
    fn texts_that_repeat_themselves_take_no_time_and_those_without_words_are_fine() {
        let (text, passage) = ("a ".repeat(5_000), "a ".repeat(5_000));
        assert_eq!(copied(&text, &[&passage]).len(), 1);
        assert!(copied("", &["", "..."]).is_empty() && copied("…", &[]).is_empty());
    }
}
