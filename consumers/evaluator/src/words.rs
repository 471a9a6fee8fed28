//! What a word is, for all metrics.

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

fn flush(word: &mut String, words: &mut Vec<String>) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

/// The text with one space for each run of white space, and one form for each kind of apostrophe.
pub(crate) fn normalised(text: &str) -> String {
    let text = text.replace(['\u{2018}', '\u{2019}'], "'");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
