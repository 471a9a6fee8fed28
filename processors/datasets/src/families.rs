//! Documents that can only be held out together.
//!
//! What is left out of a training says something of unseen text only if nothing like it is trained on. Between the splits
//! that is so: no prompt is in two of them, and no training passage shares too much with a held-out one. Within the
//! training split it need not be, so where documents of it are to be held out in turn, those that break these rules with
//! each other stay together: they are a family. Near duplicates need no rule here, since of them one passage alone is kept.

use std::collections::{BTreeMap, HashMap};

use twin_schemas::{DocumentId, Split};

use crate::scratch::{Known, Scratch};
use crate::words::{combined, leak_sequences, word_hashes};
use crate::{Error, Options};

/// Documents of the test split from which on it says enough by itself: more than folds are trained for by default.
const ENOUGH_TESTED: u64 = twin_schemas::FOLDED_BELOW;

/// The splits whose documents are held out in turn. Those of the third tell when a training ends.
const HELD_OUT: [Split; 2] = [Split::Train, Split::Test];

/// The families of a version's documents.
pub(crate) struct Families {
    first: BTreeMap<DocumentId, DocumentId>,
}

impl Families {
    /// Whether documents may be held out in turn: not where the test split is large enough.
    pub(crate) fn are_wanted(scratch: &Scratch) -> Result<bool, Error> {
        Ok(scratch.documents_in(Split::Test)? < ENOUGH_TESTED)
    }

    /// The families of what was kept. None where the test split is large enough.
    pub(crate) fn of(scratch: &Scratch, options: &Options) -> Result<Option<Self>, Error> {
        if !Self::are_wanted(scratch)? {
            return Ok(None);
        }
        let mut kinship = Kinship::new(scratch, options.max_overlap);
        for split in HELD_OUT {
            let mut after = 0;
            while let Some(known) = scratch.next(split, after, true)? {
                after = known.id;
                kinship.add(known.passage.document_id, &asked(&known), &known.passage.text)?;
            }
        }
        Ok(Some(kinship.families()))
    }

    /// The least id of a document's family.
    pub(crate) fn of_document(&self, document: DocumentId) -> DocumentId {
        self.first.get(&document).copied().unwrap_or(document)
    }
}

/// What a passage is asked for with. A question is put in several wordings: what it asks for stands for all of them.
fn asked(known: &Known) -> Vec<&str> {
    let grounding = known.grounding.iter();
    let questions = grounding.flat_map(|grounding| [grounding.question.as_str(), grounding.subject.as_str()]);
    std::iter::once(known.instruction.as_str()).chain(questions).collect()
}

/// Families as they are found: a union-find over documents. Which passages hold a sequence of words is in the scratch file:
/// of long texts there are as many sequences as words.
struct Kinship<'a> {
    scratch: &'a Scratch,
    /// Share of the sequences of words of the shorter of two passages that they may have in common.
    max_overlap: f64,
    /// Of each document one of its family with a lower id, or itself.
    parents: BTreeMap<DocumentId, DocumentId>,
    /// Of the hash of each prompt, the first document that it is asked of.
    asked: HashMap<u64, DocumentId>,
    /// Of each passage, by the number that it has in the scratch file, its document, and how many sequences it has.
    passages: Vec<(DocumentId, usize)>,
}

impl<'a> Kinship<'a> {
    fn new(scratch: &'a Scratch, max_overlap: f64) -> Self {
        Self { scratch, max_overlap, parents: BTreeMap::new(), asked: HashMap::new(), passages: Vec::new() }
    }

    /// A document's passage, and what it is asked for with.
    fn add(&mut self, document: DocumentId, asked: &[&str], text: &str) -> Result<(), Error> {
        self.parents.entry(document).or_insert(document);
        for prompt in asked {
            let words = word_hashes(prompt);
            if !words.is_empty() {
                let first = *self.asked.entry(combined(&words)).or_insert(document);
                self.join(first, document);
            }
        }
        let own = leak_sequences(text);
        for other in self.overlapping(&own)? {
            self.join(other, document);
        }
        self.scratch.add_sequences(self.passages.len() as i64, &own)?;
        self.passages.push((document, own.len()));
        Ok(())
    }

    /// The documents of the passages that share more with these sequences than is allowed.
    fn overlapping(&self, own: &[u64]) -> Result<Vec<DocumentId>, Error> {
        let mut shared: BTreeMap<i64, usize> = BTreeMap::new();
        for sequence in own {
            for passage in self.scratch.with_sequence(*sequence)? {
                *shared.entry(passage).or_insert(0) += 1;
            }
        }
        let mut found = Vec::new();
        for (passage, count) in shared {
            let (document, size) = self.passages[passage as usize];
            if count as f64 > self.max_overlap * size.min(own.len()) as f64 {
                found.push(document);
            }
        }
        Ok(found)
    }

    fn root(&self, document: DocumentId) -> DocumentId {
        let mut root = document;
        while let Some(parent) = self.parents.get(&root).filter(|parent| **parent != root) {
            root = *parent;
        }
        root
    }

    fn join(&mut self, one: DocumentId, other: DocumentId) {
        let (one, other) = (self.root(one), self.root(other));
        self.parents.insert(one.max(other), one.min(other));
    }

    fn families(self) -> Families {
        let first = self.parents.keys().map(|document| (*document, self.root(*document))).collect();
        Families { first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> DocumentId {
        format!("{number:032x}").parse().unwrap()
    }

    /// So many words that stand in no other text.
    fn words(text: &str, count: usize) -> String {
        (0..count).map(|number| format!("{text}{number}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn documents_that_share_a_prompt_or_too_many_words_are_one_family_and_others_stand_alone() {
        let scratch = Scratch::new().unwrap();
        let mut kinship = Kinship::new(&scratch, 0.1);
        kinship.add(id(5), &["Write about bread."], &words("bread", 60)).unwrap();
        kinship.add(id(3), &["Write about chess."], &words("chess", 60)).unwrap();
        kinship.add(id(4), &["Write: about BREAD"], &words("rivers", 60)).unwrap();
        let quoting = format!("{} {}", words("letters", 60), words("chess", 30));
        kinship.add(id(2), &["Write about letters."], &quoting).unwrap();
        let mentioning = format!("{} {}", words("violins", 200), words("chess", 12));
        kinship.add(id(1), &["Write about violins."], &mentioning).unwrap();
        // Nothing that grows with the texts is in memory.
        let sequence = leak_sequences(&words("bread", 60))[0];
        assert_eq!(scratch.with_sequence(sequence).unwrap(), [0]);
        let families = kinship.families();
        assert_eq!((families.of_document(id(5)), families.of_document(id(4))), (id(4), id(4)), "one prompt");
        assert_eq!((families.of_document(id(3)), families.of_document(id(2))), (id(2), id(2)), "half of a passage");
        assert_eq!(families.of_document(id(1)), id(1), "a few words");
        assert_eq!(families.of_document(id(9)), id(9));
    }

    #[test]
    fn documents_that_a_third_one_joins_are_of_one_family_whatever_the_order() {
        let texts = [(7, "one", "a"), (8, "two", "b"), (6, "one two", "c")];
        for order in [[0, 1, 2], [2, 1, 0], [0, 2, 1]] {
            let scratch = Scratch::new().unwrap();
            let mut kinship = Kinship::new(&scratch, 0.1);
            for (number, prompts, text) in order.map(|place| texts[place]) {
                let prompts: Vec<&str> = prompts.split(' ').collect();
                kinship.add(id(number), &prompts, &words(text, 40)).unwrap();
            }
            let families = kinship.families();
            assert_eq!([6, 7, 8].map(|number| families.of_document(id(number))), [id(6); 3], "{order:?}");
        }
    }

    #[test]
    fn prompts_without_a_word_join_nobody() {
        let scratch = Scratch::new().unwrap();
        let mut kinship = Kinship::new(&scratch, 0.1);
        kinship.add(id(1), &["", "\u{2026}"], &words("one", 40)).unwrap();
        kinship.add(id(2), &["", "\u{2026}"], &words("two", 40)).unwrap();
        assert_eq!(kinship.families().of_document(id(2)), id(2));
    }
}
