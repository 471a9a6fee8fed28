//! Which documents are trained on, and which are held out.
//!
//! A document's place between 0 and 1 is a hash of seed and id: it stays where it is when others come and go. Below
//! `train_share` it is trained on, then come validation and test. What an earlier version decided with the same seed
//! and shares is kept, whatever the reason for it was.

use std::collections::BTreeMap;

use twin_schemas::{DocumentId, Split};

use crate::Options;
use crate::words::{choice, unit};

/// Documents from which on one of them is in the test split.
const LEAST_FOR_TEST: usize = 3;

/// The split of each document that has samples.
pub(crate) fn assigned(
    documents: &[DocumentId],
    earlier: &BTreeMap<DocumentId, Split>,
    options: &Options,
) -> BTreeMap<DocumentId, Split> {
    let own = |document: &DocumentId| {
        let place = place(document, options.seed);
        match place {
            place if place < options.train_share => Split::Train,
            place if place < options.train_share + options.validation_share => Split::Validation,
            _ => Split::Test,
        }
    };
    let split = |document: &DocumentId| earlier.get(document).copied().unwrap_or_else(|| own(document));
    let mut splits: BTreeMap<DocumentId, Split> = documents.iter().map(|id| (*id, split(id))).collect();
    if documents.len() >= LEAST_FOR_TEST {
        // A new document first: one that an earlier version was trained on makes a test that the model has seen.
        ensure(&mut splits, Split::Test, |id| (earlier.contains_key(id), 1.0 - place(id, options.seed)));
    }
    if documents.len() > 1 {
        ensure(&mut splits, Split::Train, |id| (earlier.contains_key(id), place(id, options.seed)));
    }
    splits
}

/// If no document is in the split, the one with the least rank is put there.
fn ensure(splits: &mut BTreeMap<DocumentId, Split>, wanted: Split, rank: impl Fn(&DocumentId) -> (bool, f64)) {
    if splits.values().any(|split| *split == wanted) {
        return;
    }
    let compare = |a: &DocumentId, b: &DocumentId| {
        let (a, b) = (rank(a), rank(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    };
    if let Some(first) = splits.keys().copied().min_by(compare) {
        splits.insert(first, wanted);
    }
}

fn place(document: &DocumentId, seed: u64) -> f64 {
    unit(choice(seed, &["split", &document.to_string()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: u128) -> Vec<DocumentId> {
        (0..count).map(|number| format!("{number:032x}").parse().unwrap()).collect()
    }

    fn shares(splits: &BTreeMap<DocumentId, Split>) -> [usize; 3] {
        Split::ALL.map(|wanted| splits.values().filter(|split| **split == wanted).count())
    }

    #[test]
    fn documents_are_split_by_the_shares_and_stay_where_they_are() {
        let options = Options::default();
        let splits = assigned(&ids(1_000), &BTreeMap::new(), &options);
        let [train, validation, test] = shares(&splits);
        assert!((760..840).contains(&train) && (70..130).contains(&validation) && (70..130).contains(&test));
        let more = assigned(&ids(2_000), &BTreeMap::new(), &options);
        assert!(splits.iter().all(|(id, split)| more[id] == *split));
    }

    #[test]
    fn three_documents_have_a_test_and_something_to_train_on_whatever_the_seed() {
        for seed in 0..200 {
            let options = Options { seed, ..Options::default() };
            let [train, _, test] = shares(&assigned(&ids(3), &BTreeMap::new(), &options));
            assert!(train >= 1 && test >= 1, "seed {seed}");
        }
    }

    #[test]
    fn an_earlier_versions_split_is_kept() {
        let options = Options::default();
        let mut earlier = BTreeMap::new();
        for count in 3..40 {
            let splits = assigned(&ids(count), &earlier, &options);
            assert!(earlier.iter().all(|(id, split)| splits[id] == *split), "{count} documents");
            earlier = splits;
        }
    }
}
