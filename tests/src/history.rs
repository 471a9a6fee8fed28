//! What an author does over time: pushes, edits, deletions and files, made up at random and kept to be done again.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Documents that are pushed and edited, and never deleted: they are to be found at any moment.
const LASTING: [&str; 4] = ["harbour", "vineyard", "observatory", "foundry"];
/// Documents that are pushed, edited, deleted and made again.
const PASSING: [&str; 8] =
    ["aqueduct", "bakery", "citadel", "distillery", "elevator", "ferry", "greenhouse", "hospital"];
/// Files of a folder source: written, rewritten and removed.
const FILES: [&str; 4] = ["island.md", "jetty.md", "kiln.md", "lagoon.md"];

/// One thing that the author does. Each makes exactly one revision of one document.
#[derive(Debug, Clone)]
pub enum Change {
    /// Pushes a text under this key.
    Push(&'static str, String),
    /// Deletes a pushed document.
    Delete(&'static str),
    /// Writes a file with this text, and syncs.
    Write(&'static str, String),
    /// Removes a file and syncs.
    Remove(&'static str),
}

/// Changes at random, from a seed.
#[derive(Debug)]
pub struct History {
    random: StdRng,
    /// By document: its newest revision, and whether that is a deletion.
    newest: BTreeMap<&'static str, (u64, bool)>,
    changes: Vec<Change>,
}

impl History {
    /// One that begins with all the lasting documents.
    pub fn new(seed: u64) -> Self {
        let mut history = Self { random: StdRng::seed_from_u64(seed), newest: BTreeMap::new(), changes: Vec::new() };
        for key in LASTING {
            let text = history.text(key);
            history.changes.push(Change::Push(key, text));
        }
        history
    }

    /// The changes so far, first to last.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Documents that are to be found at any moment once they are searchable.
    pub fn lasting() -> &'static [&'static str] {
        &LASTING
    }

    /// The documents changed so far.
    pub fn documents(&self) -> Vec<&'static str> {
        self.newest.keys().copied().collect()
    }

    /// By document, the lowest revision that may be served once everything is settled: none at or below a deletion.
    pub fn floors(&self) -> BTreeMap<String, u64> {
        let floors =
            self.newest.iter().map(|(key, (revision, deleted))| (key.to_string(), revision + u64::from(*deleted)));
        floors.collect()
    }

    /// Makes up one more.
    pub fn next_change(&mut self) -> Change {
        let change = match self.random.random_range(0..10) {
            0..=1 => {
                let key = LASTING[self.random.random_range(0..LASTING.len())];
                Change::Push(key, self.text(key))
            }
            2 => {
                let file = FILES[self.random.random_range(0..FILES.len())];
                if self.is_there(file) && self.random.random_bool(0.3) {
                    self.deleted(file);
                    Change::Remove(file)
                } else {
                    Change::Write(file, self.text(file))
                }
            }
            _ => {
                let key = PASSING[self.random.random_range(0..PASSING.len())];
                if self.is_there(key) && self.random.random_bool(0.3) {
                    self.deleted(key);
                    Change::Delete(key)
                } else {
                    Change::Push(key, self.text(key))
                }
            }
        };
        self.changes.push(change.clone());
        change
    }

    fn is_there(&self, key: &str) -> bool {
        self.newest.get(key).is_some_and(|(_, deleted)| !deleted)
    }

    fn deleted(&mut self, key: &'static str) {
        let entry = self.newest.entry(key).or_default();
        *entry = (entry.0 + 1, true);
    }

    /// The next revision's text: of one to six sections, each of which says which document and revision it is of.
    fn text(&mut self, key: &'static str) -> String {
        let entry = self.newest.entry(key).or_default();
        *entry = (entry.0 + 1, false);
        let edition = marker(key, entry.0);
        let sections = self.random.random_range(1..=6);
        let mut text = format!("# The {key}\n\n{edition} This is the diary of the {key}.\n");
        for section in 0..sections {
            let year = 1900 + self.random.random_range(0..100);
            text += &format!("\n## Part {section}\n\n{edition} In {year} the {key} was rebuilt");
            for storey in 0..self.random.random_range(4..16) {
                text += &format!(", and storey {storey} got {} windows", self.random.random_range(2..90));
            }
            text += &format!(". {edition}\n");
        }
        text
    }
}

/// What each chunk of a revision has in it.
pub(crate) fn marker(key: &str, revision: u64) -> String {
    format!("[{key} edition {revision}]")
}
