//! The words of a question, each with what it tells: the fewer of the texts have it, the more.

use std::collections::HashSet;

use twin_text::words::{is_stop_word, words};

/// Letters that are left of a word, at least, when its ending is taken off.
const STEM_LETTERS: usize = 3;

/// A question's words with their weights.
pub(super) struct Terms {
    weighted: Vec<(String, f32)>,
    total: f32,
}

impl Terms {
    /// Weighs the question's words by how many of the texts have them. A word that none has tells nothing of which is better.
    pub(super) fn new(question: &str, texts: &[HashSet<String>]) -> Self {
        let mut weighted: Vec<(String, f32)> = Vec::new();
        for word in words(question).iter().filter(|word| !is_stop_word(word)).map(|word| stem(word)) {
            let having = texts.iter().filter(|text| text.contains(&word)).count() as f32;
            if having > 0.0 && !weighted.iter().any(|(known, _)| *known == word) {
                weighted.push((word, inverse_document_frequency(having, texts.len() as f32)));
            }
        }
        let total = weighted.iter().map(|(_, weight)| weight).sum();
        Self { weighted, total }
    }

    /// How much of what the words tell is in a text, 0 to 1.
    pub(super) fn share(&self, text: &HashSet<String>) -> f32 {
        let found = self.weighted.iter().filter(|(word, _)| text.contains(word)).map(|(_, weight)| weight).sum::<f32>();
        if self.total > 0.0 { found / self.total } else { 0.0 }
    }
}

/// What a word tells that so many of the texts have, as in BM25 (Robertson and Zaragoza 2009).
pub(crate) fn inverse_document_frequency(having: f32, texts: f32) -> f32 {
    (1.0 + (texts - having + 0.5) / (having + 0.5)).ln()
}

/// The words of a text as they are compared.
pub(crate) fn stems(text: &str) -> HashSet<String> {
    words(text).iter().map(|word| stem(word)).collect()
}

/// A word without the ending of its English form, so that `publishes`, `published` and `publishing` are one. Words of
/// other languages and scripts stay as they are, but for what looks like such an ending.
pub(crate) fn stem(word: &str) -> String {
    let word = word.strip_suffix("'s").unwrap_or(word);
    if let Some(rest) = word.strip_suffix("ies").or_else(|| word.strip_suffix("ied")).filter(|rest| is_stem(rest)) {
        return format!("{rest}y");
    }
    let without = |ending: &str| word.strip_suffix(ending).filter(|rest| is_stem(rest) && !word.ends_with("ss"));
    let rest = ["ing", "ed", "es", "s", "e"].into_iter().find_map(without).unwrap_or(word);
    // `deleting` and `delete` have lost theirs, `caches` and `cache` too.
    let rest = rest.strip_suffix('e').filter(|rest| is_stem(rest)).unwrap_or(rest);
    let single = |doubled: char| rest.strip_suffix(doubled).filter(|rest| rest.ends_with(doubled) && is_stem(rest));
    let is_cut = rest.len() < word.len();
    // `stopped` is of `stop`; `called` is of `call` and `passes` of `pass`.
    let single = rest.chars().next_back().filter(|last| is_cut && !matches!(last, 'l' | 's' | 'z')).and_then(single);
    single.unwrap_or(rest).to_owned()
}

fn is_stem(rest: &str) -> bool {
    rest.chars().count() >= STEM_LETTERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_are_one() {
        for forms in [
            &["publish", "publishes", "published", "publishing"][..],
            &["delete", "deleted", "deletes", "deleting"],
            &["stop", "stopped", "stopping", "stops"],
            &["process", "processes", "processing"],
            &["author's", "author"],
            &["query", "queries"],
            &["add", "added", "adding"],
            &["cache", "cached", "caches"],
        ] {
            let stems: HashSet<String> = forms.iter().map(|form| stem(form)).collect();
            assert_eq!(stems.len(), 1, "{stems:?}");
        }
        assert_ne!(stem("being"), stem("bed"));
        assert_eq!(stem("\u{6f22}"), "\u{6f22}");
    }

    #[test]
    fn a_rare_word_tells_more_than_a_frequent_one_and_one_that_nobody_has_nothing() {
        let texts = ["a river rises", "a river falls", "the river froze"].map(stems);
        let terms = Terms::new("Why did the river freeze, and what froze it?", &texts);
        let shares = texts.each_ref().map(|text| terms.share(text));
        assert!(shares[2] > 0.99 && shares[0] < 0.4 && shares[0] == shares[1], "{shares:?}");
        assert_eq!(Terms::new("what is it?", &texts).share(&texts[0]), 0.0);
    }
}
