//! What a text is about, in a few of its own words.

use std::collections::BTreeMap;

use twin_text::natural::Language;

use crate::styled::shown;
use crate::weights::Weights;

/// Words of a topic.
const WORDS: usize = 3;

/// Letters of a word that can say what a text is about.
const LETTERS: usize = 4;

/// The words of a text that can say what it is about, in lower case and in order, each once. Where the language is not
/// known, stop words of any that is are left out.
pub(crate) fn content_words(text: &str, language: Option<Language>) -> Vec<String> {
    let text = shown(text);
    let mut found = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        let Some(word) = content_word(word, language) else { continue };
        if seen.insert(word.clone()) {
            found.push(word);
        }
    }
    found
}

fn content_word(word: &str, language: Option<Language>) -> Option<String> {
    if word.chars().count() < LETTERS || word.chars().any(|c| !c.is_alphabetic()) {
        return None;
    }
    let word = word.to_lowercase();
    let is_stop_word = match language {
        Some(language) => language.is_stop_word(&word),
        None => Language::ALL.iter().any(|language| language.is_stop_word(&word)),
    };
    (!is_stop_word).then_some(word)
}

/// What the words of a topic are chosen and put together by.
#[derive(Clone, Copy)]
pub(crate) struct Speech<'a> {
    /// The text's language.
    pub language: Option<Language>,
    /// How telling a word is among all of the author's.
    pub weights: &'a Weights,
    /// What stands before the last of several words: ` and `.
    pub and: &'a str,
}

/// The words that a text uses most, by how telling they are, the longest first among equals, as `a, b and c`. None if it
/// has none of its own.
pub(crate) fn topic(text: &str, speech: Speech<'_>) -> Option<String> {
    let text = shown(text);
    let mut counted: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (position, word) in text.split(|c: char| !c.is_alphanumeric()).enumerate() {
        if let Some(word) = content_word(word, speech.language) {
            counted.entry(word).or_insert((0, position)).0 += 1;
        }
    }
    let mut words: Vec<(String, f64, usize)> = counted
        .into_iter()
        .map(|(word, (count, position))| {
            let weight = count as f64 * speech.weights.of(&word);
            (word, weight, position)
        })
        .collect();
    words.sort_by(|a, b| {
        let longest = || b.0.chars().count().cmp(&a.0.chars().count());
        b.1.total_cmp(&a.1).then_with(longest).then(a.2.cmp(&b.2))
    });
    let mut chosen: Vec<(String, f64, usize)> = Vec::new();
    for word in words {
        if chosen.len() < WORDS && !chosen.iter().any(|other| is_form_of(&other.0, &word.0)) {
            chosen.push(word);
        }
    }
    let mut words = chosen;
    words.sort_by_key(|(_, _, position)| *position);
    let words: Vec<String> = words.into_iter().map(|(word, _, _)| word).collect();
    match words.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        [first @ .., last] => Some(format!("{}{}{last}", first.join(", "), speech.and)),
    }
}

/// Whether two words are forms of one, as `branch` and `branches`, `retry` and `retries`: alike but for the last letter of the
/// shorter and what the longer has beyond it.
fn is_form_of(one: &str, other: &str) -> bool {
    let common = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let shorter = one.chars().count().min(other.chars().count());
    common >= LETTERS && common + 1 >= shorter
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, language: Language, weights: &Weights) -> Option<String> {
        topic(text, Speech { language: Some(language), weights, and: " and " })
    }

    #[test]
    fn a_topic_is_the_words_used_most() {
        let plain = Weights::default();
        let text = "Rivers carve valleys. A river that meets rock carves slowly; valleys remember rivers.";
        assert_eq!(of(text, Language::English, &plain).unwrap(), "rivers, valleys and remember");
        assert_eq!(of("It is so. 12 34!", Language::English, &plain), None);
        assert_eq!(of("Compilers, as they were.", Language::English, &plain), Some("compilers".to_owned()));
    }

    #[test]
    fn a_topic_has_no_stop_word_of_its_language_and_no_word_that_the_author_always_uses() {
        let german = "Eine Schnittstelle ist nicht eine Grenze. Eine Schnittstelle ist eine Abmachung, und nicht mehr.";
        let told = of(german, Language::German, &Weights::default()).unwrap();
        assert_eq!(told, "schnittstelle, grenze and abmachung");
        let mut weights = Weights::default();
        for rest in ["Schnittstelle und Zaun", "Schnittstelle und Hafen", "Schnittstelle am Abend", german] {
            weights.add(rest, Some(Language::German));
        }
        let weighted = of("Eine Schnittstelle am Zaun, der Zaun am Hafen.", Language::German, &weights).unwrap();
        assert!(weighted.starts_with("zaun") || weighted.contains("zaun and hafen"), "{weighted}");
        assert!(weights.of("schnittstelle") < weights.of("grenze"));
    }

    #[test]
    fn two_forms_of_a_word_are_one_word() {
        let topic = of("A branch of branches. Retry the retries of commits.", Language::English, &Weights::default());
        assert_eq!(topic.unwrap(), "branches, retries and commits");
    }

    #[test]
    fn styled_letters_are_words_like_any_other() {
        assert_eq!(of("𝗖𝗼𝗺𝗽𝗶𝗹𝗲𝗿𝘀 𝘁𝗲𝗮𝗰𝗵.", Language::English, &Weights::default()).unwrap(), "compilers and teach");
    }
}
