//! Instructions that hold a text: to go on from it, to answer it, to write it out of notes.

use std::ops::Range;

use twin_text::sentences::sentences;

use crate::topic::content_words;
use twin_text::natural::Language;

/// Characters of a text that is given.
const MOST_CHARS: usize = 600;
const LEAST_CHARS: usize = 40;

/// Words of a note, and notes of a text.
const NOTE_WORDS: usize = 4;
const LEAST_NOTES: usize = 2;

/// The last sentences of the passage before: where the author stopped. None where there is none of a fit length.
pub(super) fn where_it_stopped(text: &str, before: Range<usize>) -> Option<&str> {
    let mut start = None;
    for sentence in sentences(text, before.clone()).into_iter().rev() {
        if text[sentence.start..before.end].chars().count() > MOST_CHARS {
            break;
        }
        start = Some(sentence.start);
    }
    let given = text[start?..before.end].trim();
    (given.chars().count() >= LEAST_CHARS).then_some(given)
}

/// What a quotation says, without the marks of one.
pub(super) fn said_by_another(quotation: &str) -> Option<String> {
    let line = |line: &str| line.trim_start().trim_start_matches(['>', ' ']).trim_end().to_owned();
    let said = quotation.lines().map(line).collect::<Vec<_>>().join("\n");
    let said = said.trim().to_owned();
    (LEAST_CHARS..=MOST_CHARS).contains(&said.chars().count()).then_some(said)
}

/// A line for each sentence, with the first of its words that say something.
pub(super) fn notes(passage: &str, language: Option<Language>) -> Option<String> {
    let mut notes = Vec::new();
    for sentence in sentences(passage, 0..passage.len()) {
        let mut words = content_words(&passage[sentence], language);
        words.truncate(NOTE_WORDS);
        if words.len() > 1 {
            notes.push(format!("- {}", words.join(", ")));
        }
    }
    (notes.len() >= LEAST_NOTES).then(|| notes.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_goes_on_where_whole_sentences_of_it_stop() {
        let first = "x".repeat(500);
        let text = format!("{first} is the first of them. The second is short. And this is the third of all of these.");
        let given = where_it_stopped(&text, 0..text.len()).unwrap();
        assert!(given.starts_with(&first) || given.starts_with("The second"), "{given}");
        assert_eq!(where_it_stopped("Short.", 0..6), None);
    }

    #[test]
    fn a_quotation_is_given_without_its_marks_and_notes_are_no_sentences() {
        let said = said_by_another("> Why do rivers bend at all,\n> and why do they not stop?").unwrap();
        assert_eq!(said, "Why do rivers bend at all,\nand why do they not stop?");
        let passage = "Rivers bend where the banks are soft. They carry sediment down to the valley.";
        let english = Some(Language::English);
        assert_eq!(notes(passage, english).unwrap(), "- rivers, bend, banks, soft\n- carry, sediment, valley");
        assert_eq!(notes("Rivers bend.", english), None);
    }
}
