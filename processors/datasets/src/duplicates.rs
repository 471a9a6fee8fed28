//! Near duplicates by MinHash and locality-sensitive hashing.
//!
//! The Jaccard similarity of two texts is `J = |A ∩ B| / |A ∪ B|` for their sets A and B of 5-word shingles. For a
//! random permutation of all shingles the least of A and the least of B are the same with probability J (Broder, "On
//! the resemblance and containment of documents", 1997). 128 of them are cut into `b` bands of `r`; two texts share a
//! band with probability `1 - (1 - J^r)^b` (Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", 3.4). `r` is the
//! largest for which a pair at the threshold is found with probability 0.99. Each pair found is compared in full, so
//! that chance decides only what is missed.

use crate::words::{common, mixed, sequences};

/// Words of a shingle.
const SHINGLE_WORDS: usize = 5;

/// Permutations.
const PERMUTATIONS: usize = 128;

/// Least probability that a pair at the threshold is found.
const RECALL: f64 = 0.99;

/// Rows of a band, at most.
const MOST_ROWS: usize = 16;

/// What finds candidates for a threshold.
pub(crate) struct MinHash {
    seeds: Vec<u64>,
    rows: usize,
    threshold: f64,
}

impl MinHash {
    pub(crate) fn new(threshold: f64) -> Self {
        let seeds = (0..PERMUTATIONS as u64).map(|number| mixed(!number)).collect();
        let found = |rows: &usize| recall(threshold, *rows) >= RECALL;
        let rows = (1..=MOST_ROWS).rev().find(found).unwrap_or(1);
        Self { seeds, rows, threshold }
    }

    /// One key for each band: texts that share one are worth comparing. None for a text without shingles.
    pub(crate) fn keys(&self, shingles: &[u64]) -> Vec<u64> {
        if shingles.is_empty() {
            return Vec::new();
        }
        let least = |seed: &u64| shingles.iter().map(|shingle| mixed(shingle ^ seed)).min().unwrap_or(u64::MAX);
        let signature: Vec<u64> = self.seeds.iter().map(least).collect();
        let bands = signature.chunks_exact(self.rows).enumerate();
        bands.map(|(band, rows)| rows.iter().fold(band as u64, |key, least| mixed(key ^ least))).collect()
    }

    /// Whether two texts are near duplicates.
    pub(crate) fn are_near(&self, left: &[u64], right: &[u64]) -> bool {
        jaccard(left, right) >= self.threshold
    }
}

/// The distinct shingles of a text, ascending.
pub(crate) fn shingles(words: &[u64]) -> Vec<u64> {
    sequences(words, SHINGLE_WORDS)
}

fn recall(similarity: f64, rows: usize) -> f64 {
    let bands = PERMUTATIONS / rows;
    1.0 - (1.0 - similarity.powi(rows as i32)).powi(bands as i32)
}

fn jaccard(left: &[u64], right: &[u64]) -> f64 {
    let both = common(left, right);
    let either = left.len() + right.len() - both;
    if either == 0 { 0.0 } else { both as f64 / either as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::word_hashes;

    fn text(words: usize, changed: usize) -> String {
        let word = |number: usize| if number < changed { format!("other{number}") } else { format!("word{number}") };
        (0..words).map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn near_duplicates_share_a_band_and_others_do_not_pass_the_comparison() {
        let minhash = MinHash::new(0.8);
        let of = |changed| shingles(&word_hashes(&text(300, changed)));
        let original = of(0);
        for changed in [1, 10, 25] {
            let near = of(changed);
            assert!(minhash.are_near(&original, &near), "{changed}");
            assert!(minhash.keys(&original).iter().any(|key| minhash.keys(&near).contains(key)), "{changed}");
        }
        assert!(!minhash.are_near(&original, &of(60)));
        assert!(minhash.keys(&[]).is_empty());
    }

    #[test]
    fn the_bands_find_a_pair_at_the_threshold_with_the_stated_probability() {
        for threshold in [0.5, 0.7, 0.8, 0.9, 1.0] {
            let rows = MinHash::new(threshold).rows;
            assert!(recall(threshold, rows) >= RECALL && (rows == MOST_ROWS || recall(threshold, rows + 1) < RECALL));
        }
        assert_eq!(MinHash::new(0.8).rows, 6);
    }
}
