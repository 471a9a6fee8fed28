//! Passages that a search for a question would find: those that share its telling words, weighted as in a search by words
//! (term frequency times inverse document frequency).
//!
//! Not by meaning, as serving searches too: a dataset is made without an embedding model, so that the same documents give
//! the same version on any machine.

use std::collections::{BTreeMap, HashMap};

use twin_schemas::{Passage, Split};
use twin_text::natural::Language;

use crate::Error;
use crate::scratch::{Known, Scratch};
use crate::styled::shown;
use crate::topic::content_words;
use crate::weights::{Weights, rounded};
use crate::words::word_hashes;

/// Words that a passage is found by.
const WORDS: usize = 24;

/// Of the right passage, words that are searched for beside those of the question.
const OWN_WORDS: usize = 8;

/// How much a word of the question counts beside one of the right passage.
const ASKED: f64 = 3.0;

/// Passages looked at for each word.
const LOOKED_AT: usize = 64;

/// Makes the kept prose of a split findable.
pub(super) fn index(scratch: &Scratch, weights: &Weights, split: Split) -> Result<(), Error> {
    let mut after = 0;
    while let Some(known) = scratch.next(split, after, true)? {
        after = known.id;
        if known.is_prose() {
            scratch.add_topics(split, known.id, &telling(&known.passage, known.language, weights))?;
        }
    }
    Ok(())
}

/// Passages of the split by how well they fit the question, the right one among them.
pub(super) fn found(
    scratch: &Scratch,
    weights: &Weights,
    split: Split,
    known: &Known,
    question: &str,
) -> Result<Vec<(i64, f64)>, Error> {
    let mut wanted: BTreeMap<u64, f64> = BTreeMap::new();
    for (word, weight) in telling(&known.passage, known.language, weights).into_iter().take(OWN_WORDS) {
        wanted.insert(word, weight);
    }
    for word in content_words(question, known.language) {
        if let Some(hash) = word_hashes(&word).first() {
            wanted.insert(*hash, ASKED * weights.of(&word));
        }
    }
    let mut scores: BTreeMap<i64, f64> = BTreeMap::new();
    for (word, asked) in wanted {
        for (passage, weight) in scratch.about(split, word, LOOKED_AT)? {
            *scores.entry(passage).or_insert(0.0) += asked * weight;
        }
    }
    let mut found: Vec<(i64, f64)> = scores.into_iter().collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok(found)
}

/// The most telling words of a passage, its title and its headings, by their weight in it.
fn telling(passage: &Passage, language: Option<Language>, weights: &Weights) -> Vec<(u64, f64)> {
    let mut counted: HashMap<u64, f64> = HashMap::new();
    for hash in word_hashes(&passage.text) {
        *counted.entry(hash).or_insert(0.0) += 1.0;
    }
    let title = passage.title.as_deref().unwrap_or_default();
    let headings = passage.heading_path.iter().map(String::as_str);
    let text = std::iter::once(passage.text.as_str()).chain([title]).chain(headings).collect::<Vec<_>>().join("\n");
    let mut words: Vec<(u64, f64)> = content_words(&shown(&text), language)
        .iter()
        .filter_map(|word| {
            let hash = *word_hashes(word).first()?;
            // The more often the more, and each further time less.
            let often = 1.0 + counted.get(&hash).copied().unwrap_or(1.0).ln();
            Some((hash, rounded(often * weights.of(word))))
        })
        .collect();
    words.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    words.truncate(WORDS);
    words
}
