//! Reciprocal rank fusion (Cormack, Clarke, Büttcher: SIGIR 2009): the score of an item is the sum of
//! `1 / (k + rank)` over the lists that hold it, ranks from 1. Scores of different kinds need no common scale.

use std::collections::HashMap;
use std::hash::Hash;

/// The paper's constant is 60, for lists of 1,000. Of ours, which are of tens, it would make the middle count nearly as
/// much as the top: a chunk in the middle of both lists would beat the best of one.
pub const RRF_K: f64 = 10.0;

/// Fuses ranked lists into one, best first, with its score. Equal scores keep the order of the first list.
pub fn reciprocal_rank_fusion<T: Eq + Hash + Copy>(lists: &[Vec<T>], k: f64) -> Vec<(T, f64)> {
    let mut scores: HashMap<T, f64> = HashMap::new();
    let mut order: Vec<T> = Vec::new();
    for list in lists {
        for (index, item) in list.iter().enumerate() {
            let score = scores.entry(*item).or_insert_with(|| {
                order.push(*item);
                0.0
            });
            *score += 1.0 / (k + index as f64 + 1.0);
        }
    }
    let mut fused: Vec<(T, f64)> = order.into_iter().map(|item| (item, scores[&item])).collect();
    // Stable: items of equal score stay in the order in which they were met.
    fused.sort_by(|left, right| right.1.total_cmp(&left.1));
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_in_both_lists_beats_the_first_of_one() {
        let fused = reciprocal_rank_fusion(&[vec!['a', 'b'], vec!['c', 'b']], 60.0);
        assert_eq!(fused.iter().map(|(item, _)| *item).collect::<Vec<_>>(), ['b', 'a', 'c']);
        assert!((fused[0].1 - 2.0 / 62.0).abs() < 1e-12);
    }
}
