//! How telling a word is: the rarer among an author's documents, the more (inverse document frequency, Spärck Jones 1972).

use std::collections::{HashMap, HashSet};

use twin_text::natural::Language;

use crate::topic::content_words;
use crate::words::word_hashes;

/// Words that are counted, at most. An author's vocabulary grows slowly; what is seen first after so many is rare.
const MOST_WORDS: usize = 2_000_000;

/// In how many of an author's documents each word stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Weights {
    documents: u32,
    words: HashMap<u64, u32>,
}

impl Weights {
    /// Counts a document's words.
    pub(crate) fn add(&mut self, text: &str, language: Option<Language>) {
        self.documents = self.documents.saturating_add(1);
        let hashes: HashSet<u64> = content_words(text, language).iter().filter_map(|word| hash(word)).collect();
        for word in hashes {
            if let Some(count) = self.words.get_mut(&word) {
                *count += 1;
            } else if self.words.len() < MOST_WORDS {
                self.words.insert(word, 1);
            }
        }
    }

    /// `ln((1 + N) / (1/2 + n))` for a word that stands in n of N documents; the same for all where nothing was counted.
    pub(crate) fn of(&self, word: &str) -> f64 {
        let known = hash(word).and_then(|hash| self.words.get(&hash)).copied().unwrap_or(0);
        rounded(((1.0 + f64::from(self.documents)) / (0.5 + f64::from(known))).ln())
    }
}

/// To six digits behind the point: logarithms differ in their last bits from one machine to another, and a version does
/// not.
pub(crate) fn rounded(weight: f64) -> f64 {
    (weight * 1e6).round() / 1e6
}

/// Of a word; none if it is no single word.
fn hash(word: &str) -> Option<u64> {
    word_hashes(word).first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_every_document_has_tells_nothing_and_a_rare_one_much() {
        let mut weights = Weights::default();
        assert_eq!(weights.of("river"), weights.of("kernel"));
        for text in ["rivers and a project", "kernels of a project", "the project alone, project by project"] {
            weights.add(text, Some(Language::English));
        }
        assert!(weights.of("kernels") > 2.0 * weights.of("project"));
        assert!(weights.of("project") > 0.0 && weights.of("unheard") > weights.of("kernels"));
    }
}
