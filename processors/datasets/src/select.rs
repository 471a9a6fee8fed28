//! Which candidates are kept: no duplicates, and nothing in training that comes near what is held out.
//!
//! The test split goes first, then validation, then training. So it is the training passage that goes when two are too
//! near, and the test split stays what it was.

use std::collections::BTreeMap;

use twin_schemas::{Category, DocumentId};
use twin_sqlite::rusqlite::params;

use crate::duplicates::{MinHash, shingles};
use crate::refusal::{Refusal, Refusals};
use crate::scratch::{Known, Scratch};
use crate::split::{Split, assigned};
use crate::words::{LEAK_WORDS, combined, sequences, word_hashes};
use crate::{Error, Options};

/// The order in which passages are kept.
const ORDER: [Split; 3] = [Split::Test, Split::Validation, Split::Train];

/// Gives every document with candidates its split.
pub(crate) fn split(scratch: &Scratch, earlier: &BTreeMap<DocumentId, Split>, options: &Options) -> Result<(), Error> {
    let mut statement = scratch.connection.prepare("SELECT document_id FROM documents WHERE candidates > 0")?;
    let ids = statement.query_map([], |row| row.get::<_, String>(0))?;
    let parsed = ids.map(|id| id?.parse().map_err(|error| Error::Row(format!("{error}"))));
    let ids: Vec<DocumentId> = parsed.collect::<Result<_, Error>>()?;
    let mut update = scratch.connection.prepare("UPDATE documents SET split = ?2 WHERE document_id = ?1")?;
    for (document, split) in assigned(&ids, earlier, options) {
        update.execute(params![document.to_string(), split as i64])?;
    }
    let passages = "UPDATE passages SET split = (SELECT split FROM documents WHERE seq = document)";
    scratch.connection.execute(passages, [])?;
    Ok(())
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
            match selector.refused(&words)? {
                Some(reason) => refusals.add(reason),
                None => serial += selector.keep(&known, &words, serial)?,
            }
        }
    }
    Ok(())
}

struct Selector<'a> {
    scratch: &'a Scratch,
    options: &'a Options,
    minhash: &'a MinHash,
    split: Split,
}

impl Selector<'_> {
    fn refused(&self, words: &[u64]) -> Result<Option<Refusal>, Error> {
        let exact = "SELECT 1 FROM words WHERE hash = ?1";
        if self.scratch.connection.prepare_cached(exact)?.exists([combined(words).cast_signed()])? {
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

    fn has_near_duplicate(&self, words: &[u64]) -> Result<bool, Error> {
        let own = shingles(words);
        let mut in_band = self.scratch.connection.prepare_cached("SELECT passage FROM bands WHERE key = ?1")?;
        let mut compared = Vec::new();
        for key in self.minhash.keys(&own) {
            let mut rows = in_band.query([key.cast_signed()])?;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
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
        let mut holders = self.scratch.connection.prepare_cached("SELECT passage FROM held_out WHERE sequence = ?1")?;
        let mut size = self.scratch.connection.prepare_cached("SELECT size FROM held_out_sizes WHERE passage = ?1")?;
        let mut shared: BTreeMap<i64, u64> = BTreeMap::new();
        for sequence in &own {
            let mut rows = holders.query([sequence.cast_signed()])?;
            while let Some(row) = rows.next()? {
                *shared.entry(row.get(0)?).or_insert(0) += 1;
            }
        }
        for (passage, count) in shared {
            let theirs: i64 = size.query_row([passage], |row| row.get(0))?;
            let shorter = theirs.unsigned_abs().min(own.len() as u64);
            if count as f64 > self.options.max_overlap * shorter as f64 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns by how much the number of the next prose passage is higher.
    fn keep(&self, known: &Known, words: &[u64], serial: u64) -> Result<u64, Error> {
        let connection = &self.scratch.connection;
        let is_prose = known.passage.category != Category::Code;
        connection
            .prepare_cached("UPDATE passages SET kept = 1, serial = ?2 WHERE id = ?1")?
            .execute(params![known.id, is_prose.then_some(serial.cast_signed())])?;
        connection.prepare_cached("INSERT INTO words VALUES (?1)")?.execute([combined(words).cast_signed()])?;
        let mut band = connection.prepare_cached("INSERT OR IGNORE INTO bands VALUES (?1, ?2)")?;
        for key in self.minhash.keys(&shingles(words)) {
            band.execute([key.cast_signed(), known.id])?;
        }
        if self.split != Split::Train {
            self.hold_out(known.id, &sequences(words, LEAK_WORDS))?;
        }
        Ok(u64::from(is_prose))
    }

    fn hold_out(&self, passage: i64, own: &[u64]) -> Result<(), Error> {
        let connection = &self.scratch.connection;
        let mut insert = connection.prepare_cached("INSERT INTO held_out VALUES (?1, ?2)")?;
        for sequence in own {
            insert.execute([sequence.cast_signed(), passage])?;
        }
        let size = "INSERT INTO held_out_sizes VALUES (?1, ?2)";
        connection.prepare_cached(size)?.execute([passage, own.len() as i64])?;
        Ok(())
    }
}
