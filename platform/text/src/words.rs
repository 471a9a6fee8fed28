//! What a word is, wherever words of texts are compared.

use std::ops::Range;

/// English words that tell nothing of what a question is about.
const STOP_WORDS: [&str; 48] = [
    "a", "about", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "had", "has", "have",
    "how", "i", "if", "in", "into", "is", "it", "its", "me", "my", "of", "on", "or", "should", "that", "the", "their",
    "there", "this", "to", "was", "we", "what", "when", "where", "which", "who", "why", "will", "with", "you",
];

/// A word and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// In lower case, with a straight apostrophe.
    pub text: String,
    /// Its bytes in the text.
    pub range: Range<usize>,
}

/// The words of a text in lower case: runs of letters and digits, an apostrophe within one included. Of scripts that
/// write no spaces (Chinese, Japanese) each character is a word.
pub fn words(text: &str) -> Vec<String> {
    located_words(text).into_iter().map(|word| word.text).collect()
}

/// The same words with their places.
pub fn located_words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word = Word { text: String::new(), range: 0..0 };
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let end = at + character.len_utf8();
        if is_ideograph(character) {
            flush(&mut word, &mut words);
            words.push(Word { text: character.to_string(), range: at..end });
        } else if character.is_alphanumeric() {
            if word.text.is_empty() {
                word.range.start = at;
            }
            word.text.extend(character.to_lowercase());
            word.range.end = end;
        } else {
            let is_within = !word.text.is_empty() && characters.peek().is_some_and(|(_, next)| next.is_alphanumeric());
            if matches!(character, '\'' | '\u{2019}') && is_within {
                word.text.push('\'');
                word.range.end = end;
            } else {
                flush(&mut word, &mut words);
            }
        }
    }
    flush(&mut word, &mut words);
    words
}

/// Whether a word, in lower case, tells nothing of what a question is about.
pub fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(&word)
}

fn flush(word: &mut Word, words: &mut Vec<Word>) {
    if !word.text.is_empty() {
        words.push(Word { text: std::mem::take(&mut word.text), range: word.range.clone() });
    }
}

fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stands_where_it_was_found() {
        let text = "\u{6771} Don\u{2019}t, \u{c9}T\u{c9}'";
        let found = located_words(text);
        let places: Vec<&str> = found.iter().map(|word| &text[word.range.clone()]).collect();
        assert_eq!(places, ["\u{6771}", "Don\u{2019}t", "\u{c9}T\u{c9}"]);
        assert_eq!(found[2].text, "\u{e9}t\u{e9}");
    }

    #[test]
    fn words_are_runs_of_letters_and_ideographs_stand_alone() {
        assert_eq!(
            words("Don\u{2019}t 'stop', \u{e9}t\u{e9} 3.5 \u{6771}\u{4eac}ab"),
            ["don't", "stop", "\u{e9}t\u{e9}", "3", "5", "\u{6771}", "\u{4eac}", "ab"]
        );
    }
}
