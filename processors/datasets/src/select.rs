//! Which candidates are kept: no duplicates, and nothing in training that comes near what is held out.
//!
//! The test split goes first, then validation, then training. So it is the training passage that goes when two are too
//! near, and the test split stays what it was. In the same order splits take their prompts: what is asked in one is asked
//! in no other.

use std::collections::BTreeMap;

use twin_schemas::{DocumentId, Refusal, Refusals, Split};

use crate::candidate::Grounding;
use crate::duplicates::{MinHash, shingles};
use crate::proportion;
use crate::scratch::{Known, Scratch};
use crate::split::assigned;
use crate::words::{LEAK_WORDS, combined, sequences, word_hashes};
use crate::{Error, Options};

/// The order in which passages are kept.
const ORDER: [Split; 3] = [Split::Test, Split::Validation, Split::Train];

/// Gives every document with candidates its split.
pub(crate) fn split(scratch: &Scratch, earlier: &BTreeMap<DocumentId, Split>, options: &Options) -> Result<(), Error> {
    let ids = scratch.documents_with_candidates()?;
    scratch.assign(assigned(&ids, earlier, options))
}

/// Marks the passages that are kept and counts the others.
pub(crate) fn select(scratch: &Scratch, options: &Options, refusals: &mut Refusals) -> Result<(), Error> {
    let minhash = MinHash::new(options.near_duplicate);
    for split in ORDER {
        let (mut after, mut serial) = (0, 0);
        while let Some(known) = scratch.next(split, after, false)? {
            after = known.id;
            let words = word_hashes(&known.passage.text);
            let selector = Selector { scratch, options, minhash: &minhash, split };
            let refused = match selector.refused(&words)? {
                None if !selector.claim(&known)? => Some(Refusal::SamePrompt),
                refused => refused,
            };
            match refused {
                Some(reason) => refusals.add(reason),
                None => serial += selector.keep(&known, &words, serial)?,
            }
        }
    }
    proportion::keep(scratch, options, refusals)
}

struct Selector<'a> {
    scratch: &'a Scratch,
    options: &'a Options,
    minhash: &'a MinHash,
    split: Split,
}

impl Selector<'_> {
    fn refused(&self, words: &[u64]) -> Result<Option<Refusal>, Error> {
        if self.scratch.has_words(combined(words))? {
            return Ok(Some(Refusal::ExactDuplicate));
        }
        if self.has_near_duplicate(words)? {
            return Ok(Some(Refusal::NearDuplicate));
        }
        if self.split != Split::Test && self.overlaps(words)? {
            return Ok(Some(Refusal::HeldOut));
        }
        Ok(None)
    }

    /// Takes the passage's instruction for its split, or else the other one, and so its question. False if both
    /// instructions stand in another split; a question that does is no question of this passage.
    fn claim(&self, known: &Known) -> Result<bool, Error> {
        let mut instruction = None;
        for text in std::iter::once(&known.instruction).chain(&known.other_instruction) {
            if self.is_free(text)? {
                instruction = Some(text);
                break;
            }
        }
        let Some(instruction) = instruction else { return Ok(false) };
        let mut grounding = None;
        for asked in known.grounding.iter().flat_map(Grounding::each) {
            if self.is_free(&asked.question)? {
                grounding = Some(asked.clone());
                break;
            }
        }
        if *instruction != known.instruction || grounding != known.grounding {
            self.scratch.ask(known.id, instruction, grounding.as_ref())?;
        }
        Ok(true)
    }

    /// Whether what is asked stands in no other split, and holds nothing that is held out. If so, it is this split's.
    fn is_free(&self, asked: &str) -> Result<bool, Error> {
        let words = word_hashes(asked);
        if self.split != Split::Test && self.overlaps(&words)? {
            return Ok(false);
        }
        self.scratch.claim_prompt(combined(&words), self.split)
    }

    fn has_near_duplicate(&self, words: &[u64]) -> Result<bool, Error> {
        let own = shingles(words);
        let mut compared = Vec::new();
        for key in self.minhash.keys(&own) {
            for id in self.scratch.in_band(key)? {
                if compared.contains(&id) {
                    continue;
                }
                compared.push(id);
                let other = self.scratch.passage(id)?.map(|known| shingles(&word_hashes(&known.passage.text)));
                if other.is_some_and(|other| self.minhash.are_near(&own, &other)) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether it has more in common with one held-out passage than allowed: as a share of the sequences of the shorter
    /// of the two, so that a short test passage inside of a long training passage is found.
    fn overlaps(&self, words: &[u64]) -> Result<bool, Error> {
        let own = sequences(words, LEAK_WORDS);
        let mut shared: BTreeMap<i64, u64> = BTreeMap::new();
        for sequence in &own {
            for passage in self.scratch.holding(*sequence)? {
                *shared.entry(passage).or_insert(0) += 1;
            }
        }
        for (passage, count) in shared {
            let shorter = self.scratch.held_out_size(passage)?.min(own.len() as u64);
            if count as f64 > self.options.max_overlap * shorter as f64 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns by how much the number of the next prose passage is higher.
    fn keep(&self, known: &Known, words: &[u64], serial: u64) -> Result<u64, Error> {
        let is_prose = known.is_prose();
        self.scratch.keep(known.id, is_prose.then_some(serial))?;
        self.scratch.add_words(combined(words))?;
        self.scratch.add_bands(known.id, self.minhash.keys(&shingles(words)))?;
        if self.split != Split::Train {
            self.scratch.hold_out(known.id, &sequences(words, LEAK_WORDS))?;
        }
        Ok(u64::from(is_prose))
    }
}
