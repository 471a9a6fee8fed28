//! Items of an enumeration within a sentence: `wool, honey and a lantern`.
//!
//! One that is invented is a small part of the words of its sentence, and hardly moves its vector. So an item that no passage
//! has, beside one that a passage has, is looked for by itself. An item is one or two words that tell something; what is said at
//! more length is judged with its sentence.

use super::claims::is_content;
use super::numbers::{number_word, unit};
use super::tokens::{Token, tokens};

/// Words that join the last item to the others.
const JOINING: [&str; 7] = ["and", "or", "und", "oder", "et", "ou", "y"];

/// Words that may stand before an item and are no part of it.
const ARTICLES: [&str; 12] = ["a", "an", "the", "some", "its", "their", "his", "her", "my", "your", "our", "no"];

/// Words of an item, at most.
const ITEM_WORDS: usize = 2;

/// What stands between commas, or words that join.
struct Part {
    /// In lower case.
    words: Vec<String>,
    /// A word that joins stands before it.
    is_joined: bool,
}

/// The first item of an enumeration in a sentence of which no word is known, if an item beside it is known.
pub(super) fn invented_item(sentence: &str, is_known: impl Fn(&str) -> bool) -> Option<String> {
    let parts = parts(sentence);
    let is_of_known = |part: &Part| part.is_item() && part.words.iter().all(|word| is_known(word));
    (1..parts.len()).find_map(|at| {
        let item = &parts[at];
        let is_unknown = item.is_item() && !item.words.iter().any(|word| is_known(word));
        let mut beside = [Some(&parts[at - 1]), parts.get(at + 1)].into_iter().flatten();
        let is_of_an_enumeration = |part: &Part| is_of_known(part) && (part.is_joined || item.is_joined);
        (is_unknown && beside.any(is_of_an_enumeration)).then(|| item.words.join(" "))
    })
}

impl Part {
    fn is_item(&self) -> bool {
        let is_word = |word: &String| {
            let is_measure = number_word(word).is_some() || unit(word).is_some();
            // An adverb between commas is none: `unfortunately`.
            word.chars().all(char::is_alphabetic) && is_content(word) && !is_measure && !word.ends_with("ly")
        };
        (1..=ITEM_WORDS).contains(&self.words.len()) && self.words.iter().all(is_word)
    }
}

fn parts(sentence: &str) -> Vec<Part> {
    let mut parts = vec![Part { words: Vec::new(), is_joined: false }];
    for Token { text, ends_clause, .. } in tokens(sentence) {
        let word = text.to_lowercase();
        if JOINING.contains(&word.as_str()) {
            begin(&mut parts, true);
            continue;
        }
        if let Some(part) = parts.last_mut()
            && !(part.words.is_empty() && ARTICLES.contains(&word.as_str()))
        {
            part.words.push(word);
        }
        if ends_clause {
            begin(&mut parts, false);
        }
    }
    parts
}

/// Begins the next part; `, and` begins one.
fn begin(parts: &mut Vec<Part>, is_joined: bool) {
    match parts.last_mut() {
        Some(last) if last.words.is_empty() => last.is_joined |= is_joined,
        _ => parts.push(Part { words: Vec::new(), is_joined }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sentence: &str) -> Option<String> {
        let known = ["hive", "needs", "wool", "honey", "smoke", "winter", "quiet", "place", "cold"];
        invented_item(sentence, |word| known.contains(&word))
    }

    #[test]
    fn an_item_that_nobody_knows_beside_one_that_is_known_is_told() {
        for sentence in [
            "The hive needs smoke, a lantern and honey.",
            "The hive needs smoke, honey, and a lantern.",
            "Smoke, lantern oil or honey, whichever is there.",
        ] {
            let told = told(sentence);
            assert!(told.as_ref().is_some_and(|item| item.starts_with("lantern")), "{told:?} of {sentence}");
        }
    }

    #[test]
    fn what_is_known_and_what_is_no_item_is_not_told() {
        for sentence in [
            "The hive needs smoke, wool and honey.",
            "It is, unfortunately, cold.",
            "In short, the hive needs wool.",
            "It needs wool, honey and what the keeper thinks of in time.",
            "It needs wool, honey and 12 kilos.",
            "Bees, said Grace, need a quiet place.",
        ] {
            assert_eq!(told(sentence), None, "{sentence}");
        }
    }
}
