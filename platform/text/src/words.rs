//! What a word is, wherever words of texts are compared.

/// English words that tell nothing of what a question is about.
const STOP_WORDS: [&str; 48] = [
    "a", "about", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "had", "has", "have",
    "how", "i", "if", "in", "into", "is", "it", "its", "me", "my", "of", "on", "or", "should", "that", "the", "their",
    "there", "this", "to", "was", "we", "what", "when", "where", "which", "who", "why", "will", "with", "you",
];

/// The words of a text in lower case: runs of letters and digits, an apostrophe within one included. Of scripts that
/// write no spaces (Chinese, Japanese) each character is a word.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if is_ideograph(character) {
            flush(&mut word, &mut words);
            words.push(character.to_string());
        } else if character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        } else {
            let is_within = !word.is_empty() && characters.peek().is_some_and(|next| next.is_alphanumeric());
            if matches!(character, '\'' | '\u{2019}') && is_within {
                word.push('\'');
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

fn flush(word: &mut String, words: &mut Vec<String>) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_ideographs_stand_alone() {
        assert_eq!(
            words("Don\u{2019}t 'stop', \u{e9}t\u{e9} 3.5 \u{6771}\u{4eac}ab"),
            ["don't", "stop", "\u{e9}t\u{e9}", "3", "5", "\u{6771}", "\u{4eac}", "ab"]
        );
    }
}
