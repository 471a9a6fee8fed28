//! What a sentence denies: the words behind `not`, `never`, `no`, `without`.

use std::collections::HashSet;

use super::claims::is_content;
use super::tokens::tokens;
use crate::quotes::terms::stem;

/// Words that deny what comes next.
const DENIALS: [&str; 11] =
    ["not", "never", "no", "none", "nobody", "nothing", "neither", "nor", "without", "cannot", "nowhere"];

/// Words that are denied by a word before them, at most.
const SCOPE: usize = 2;

/// Words of which one says the contrary of the other.
const OPPOSITES: [(&str, &str); 19] = [
    ("before", "after"),
    ("more", "less"),
    ("more", "fewer"),
    ("most", "least"),
    ("always", "never"),
    ("above", "below"),
    ("first", "last"),
    ("all", "none"),
    ("newest", "oldest"),
    ("newer", "older"),
    ("faster", "slower"),
    ("larger", "smaller"),
    ("increases", "decreases"),
    ("allowed", "forbidden"),
    ("accepted", "refused"),
    ("accepted", "rejected"),
    ("enabled", "disabled"),
    ("raises", "lowers"),
    ("success", "failure"),
];

/// What a text denies, and what it says at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Polarity {
    /// For each denial, the words that it is of, as they are compared.
    scopes: Vec<Vec<String>>,
    words: HashSet<String>,
    /// For each pair of opposites, whether the one and the other stands there.
    opposites: Vec<(bool, bool)>,
}

impl Polarity {
    /// Of a text.
    pub(super) fn new(text: &str) -> Self {
        let tokens = tokens(text);
        let lower: Vec<String> =
            tokens.iter().map(|token| token.text.to_lowercase().replace('\u{2019}', "'")).collect();
        let words: HashSet<String> = lower.iter().map(|word| stem(word)).collect();
        let has = |word: &str| words.contains(&stem(word));
        let opposites = OPPOSITES.iter().map(|(one, other)| (has(one), has(other))).collect();
        let mut polarity = Self { scopes: Vec::new(), opposites, words };
        for (index, word) in lower.iter().enumerate() {
            if !is_denial(word) || is_figure_of_speech(&lower, index) {
                continue;
            }
            let behind = (index + 1..lower.len()).take_while(|at| *at == index + 1 || !tokens[at - 1].ends_clause);
            let behind = if tokens[index].ends_clause { Vec::new() } else { behind.collect() };
            let behind = behind.into_iter().take_while(|at| lower[*at] != "but" && lower[*at] != "unless");
            let mut scope: Vec<String> =
                behind.filter(|at| is_content(&lower[*at])).take(SCOPE).map(|at| stem(&lower[at])).collect();
            if scope.is_empty() {
                let before = lower[..index].iter().rev().find(|word| is_content(word));
                scope.extend(before.map(|word| stem(word)));
            }
            polarity.scopes.push(scope);
        }
        polarity
    }

    /// What both say.
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.scopes.extend(other.scopes.iter().cloned());
        both.words.extend(other.words.iter().cloned());
        for (mine, others) in both.opposites.iter_mut().zip(&other.opposites) {
            *mine = (mine.0 || others.0, mine.1 || others.1);
        }
        both
    }

    /// Whether one of the two denies what the other says, or says its contrary.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        let are_opposite = |(mine, others): (&(bool, bool), &(bool, bool))| {
            matches!((mine, others), ((true, false), (false, true)) | ((false, true), (true, false)))
        };
        self.denies(other) || other.denies(self) || self.opposites.iter().zip(&other.opposites).any(are_opposite)
    }

    /// Whether it denies words that the other says and does not deny.
    fn denies(&self, other: &Self) -> bool {
        let is_denied = |word: &String| other.scopes.iter().any(|scope| scope.contains(word));
        self.scopes.iter().any(|scope| {
            let shared: Vec<&String> = scope.iter().filter(|word| other.words.contains(*word)).collect();
            !shared.is_empty() && !shared.into_iter().any(is_denied)
        })
    }
}

fn is_denial(word: &str) -> bool {
    DENIALS.contains(&word) || word.ends_with("n't")
}

/// `not only`, `whether or not`, `if not`: nothing is denied.
fn is_figure_of_speech(words: &[String], index: usize) -> bool {
    let next = words.get(index + 1).map(String::as_str);
    let before = index.checked_sub(1).and_then(|before| words.get(before)).map(String::as_str);
    words[index] == "not" && (next == Some("only") || matches!(before, Some("or" | "if")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contradict(one: &str, other: &str) -> bool {
        let (one, other) = (Polarity::new(one), Polarity::new(other));
        assert_eq!(one.contradicts(&other), other.contradicts(&one));
        one.contradicts(&other)
    }

    #[test]
    fn a_denial_of_what_is_said_contradicts_it() {
        for (said, denied) in [
            ("The crawler reads the file.", "The crawler does not read the file."),
            ("The crawler reads the file.", "The crawler doesn't consult the file."),
            ("There are Kafka transactions.", "There are no Kafka transactions."),
            ("Sleeping: wait for a condition.", "No sleeping: wait for a condition."),
            ("It is asked each time.", "It is never asked."),
            ("The claim is there.", "The claim is not."),
            ("It is done before the write.", "It is done after the write."),
        ] {
            assert!(contradict(said, denied), "{said} {denied}");
        }
    }

    #[test]
    fn the_same_denial_in_other_words_does_not() {
        for (one, other) in [
            ("No event is lost.", "Nothing is lost."),
            ("The model isn't asked.", "It answers without asking the model."),
            ("It never deletes old points.", "The old points are not deleted."),
            ("Not only rivers freeze.", "Rivers freeze."),
            ("The Isar rises in spring.", "The Isar rises in spring; the Inn does not freeze."),
            ("It runs before and after the write.", "It runs after the write."),
        ] {
            assert!(!contradict(one, other), "{one} {other}");
        }
    }
}
