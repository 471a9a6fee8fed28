//! What a text is about, in a few of its own words.

/// Words of a topic.
const WORDS: usize = 3;

/// Letters of a word that can say what a text is about.
const LETTERS: usize = 4;

/// Common English words that say nothing about a text.
const COMMON: &[&str] = &[
    "about",
    "above",
    "after",
    "again",
    "against",
    "almost",
    "also",
    "although",
    "always",
    "among",
    "another",
    "because",
    "been",
    "before",
    "being",
    "below",
    "between",
    "both",
    "cannot",
    "come",
    "comes",
    "could",
    "does",
    "doing",
    "done",
    "down",
    "during",
    "each",
    "either",
    "enough",
    "even",
    "ever",
    "every",
    "first",
    "from",
    "further",
    "gets",
    "give",
    "given",
    "gives",
    "goes",
    "going",
    "have",
    "having",
    "here",
    "hers",
    "himself",
    "into",
    "itself",
    "just",
    "know",
    "least",
    "less",
    "like",
    "made",
    "make",
    "makes",
    "making",
    "many",
    "might",
    "more",
    "most",
    "much",
    "must",
    "myself",
    "need",
    "needs",
    "never",
    "next",
    "none",
    "nothing",
    "once",
    "only",
    "other",
    "others",
    "ours",
    "over",
    "part",
    "rather",
    "really",
    "same",
    "should",
    "since",
    "some",
    "something",
    "still",
    "such",
    "take",
    "than",
    "that",
    "their",
    "theirs",
    "them",
    "then",
    "there",
    "these",
    "they",
    "thing",
    "things",
    "this",
    "those",
    "through",
    "thus",
    "together",
    "toward",
    "under",
    "until",
    "upon",
    "used",
    "using",
    "very",
    "want",
    "well",
    "were",
    "what",
    "whatever",
    "when",
    "where",
    "whether",
    "which",
    "while",
    "whole",
    "whose",
    "will",
    "with",
    "within",
    "without",
    "would",
    "your",
    "yours",
    "written",
    "write",
    "wrote",
    "says",
    "explain",
    "https",
    "http",
];

/// The words of a text that can say what it is about, in lower case and in order, each once.
pub(crate) fn content_words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        let Some(word) = content_word(word) else { continue };
        if !found.contains(&word) {
            found.push(word);
        }
    }
    found
}

fn content_word(word: &str) -> Option<String> {
    if word.chars().count() < LETTERS || word.chars().any(|c| !c.is_alphabetic()) {
        return None;
    }
    let word = word.to_lowercase();
    (!COMMON.contains(&word.as_str())).then_some(word)
}

/// The words that a text uses most, the longest first among equals, as `a, b and c`. None if it has none of its own.
pub(crate) fn topic(text: &str) -> Option<String> {
    let mut counted: std::collections::BTreeMap<String, (usize, usize)> = std::collections::BTreeMap::new();
    for (position, word) in text.split(|c: char| !c.is_alphanumeric()).enumerate() {
        if let Some(word) = content_word(word) {
            counted.entry(word).or_insert((0, position)).0 += 1;
        }
    }
    let mut words: Vec<(String, usize, usize)> =
        counted.into_iter().map(|(word, (count, position))| (word, count, position)).collect();
    words.sort_by_key(|(word, count, position)| (usize::MAX - count, usize::MAX - word.chars().count(), *position));
    words.truncate(WORDS);
    words.sort_by_key(|(_, _, position)| *position);
    let words: Vec<String> = words.into_iter().map(|(word, _, _)| word).collect();
    match words.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        [first @ .., last] => Some(format!("{} and {last}", first.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_the_words_used_most() {
        let text = "Rivers carve valleys. A river that meets rock carves slowly; valleys remember rivers.";
        assert_eq!(topic(text).unwrap(), "rivers, valleys and remember");
        assert_eq!(topic("It is so. 12 34!"), None);
        assert_eq!(topic("Compilers, as they were."), Some("compilers".to_owned()));
    }
}
