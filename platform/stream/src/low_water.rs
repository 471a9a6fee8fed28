//! Which offset of a partition may be committed: the one after the longest finished run from its start.

use std::collections::VecDeque;

/// Tracks the offsets of one partition from delivery to completion.
///
/// A record that is not finished holds back every later one (a hole committed over is a lost event: vector #24543).
#[derive(Debug, Default)]
pub(crate) struct LowWater {
    in_flight: VecDeque<(u64, bool)>,
    next: Option<u64>,
}

impl LowWater {
    /// A record was delivered. Offsets come in ascending order, with gaps.
    pub(crate) fn delivered(&mut self, offset: u64) {
        debug_assert!(self.in_flight.back().is_none_or(|(last, _)| *last < offset), "offsets ascend");
        self.in_flight.push_back((offset, false));
    }

    /// A record is finished: its effects are durable or it is dead-lettered.
    pub(crate) fn finished(&mut self, offset: u64) {
        if let Ok(index) = self.in_flight.binary_search_by_key(&offset, |(offset, _)| *offset) {
            self.in_flight[index].1 = true;
        }
        while let Some((offset, true)) = self.in_flight.front() {
            self.next = Some(offset + 1);
            self.in_flight.pop_front();
        }
    }

    /// The offset to commit: the next to read after a restart. None before the first record is finished.
    pub(crate) fn next(&self) -> Option<u64> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_unfinished_record_holds_back_the_later_ones() {
        let mut low_water = LowWater::default();
        for offset in [3, 4, 9] {
            low_water.delivered(offset);
        }
        low_water.finished(4);
        low_water.finished(9);
        assert_eq!(low_water.next(), None);
        low_water.finished(3);
        assert_eq!(low_water.next(), Some(10));
    }

    proptest! {
        #[test]
        fn the_low_water_mark_is_that_of_a_naive_model(
            gaps in prop::collection::vec(1_u64..4, 1..40),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let offsets: Vec<u64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let mut low_water = LowWater::default();
            offsets.iter().for_each(|offset| low_water.delivered(*offset));
            let mut finished = std::collections::BTreeSet::new();
            for index in order {
                let offset = offsets[index.index(offsets.len())];
                low_water.finished(offset);
                finished.insert(offset);
                let run = offsets.iter().take_while(|offset| finished.contains(offset)).last();
                prop_assert_eq!(low_water.next(), run.map(|offset| offset + 1));
            }
        }
    }
}
