//! Two sides, some rounds, and what they come to.

use anyhow::Result;

use crate::target::Target;

/// Which way a number is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// A rate.
    Higher,
    /// A time.
    Lower,
}

/// Something measured on two sides. One entry of each list is one round.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// What was measured.
    pub name: String,
    /// The unit of the numbers.
    pub unit: &'static str,
    /// Which way they are good.
    pub better: Better,
    /// What ours is held against.
    pub other_name: &'static str,
    /// Our numbers, one for each round.
    pub ours: Vec<f64>,
    /// The other side's.
    pub other: Vec<f64>,
    /// What the median of [`Comparison::times_as_fast`] has to reach.
    pub target: Option<Target>,
}

impl Comparison {
    /// A comparison without any round yet.
    pub fn new(name: impl Into<String>, unit: &'static str, better: Better, other_name: &'static str) -> Self {
        Self { name: name.into(), unit, better, other_name, ours: Vec::new(), other: Vec::new(), target: None }
    }

    /// The same comparison with a target.
    pub fn wanting(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }

    /// Adds a round.
    pub fn round(&mut self, ours: f64, other: f64) {
        self.ours.push(ours);
        self.other.push(other);
    }

    /// For each round, how many times as fast ours was as the other side.
    pub fn times_as_fast(&self) -> Vec<f64> {
        let ratio = |(ours, other): (&f64, &f64)| match self.better {
            Better::Higher => ours / other,
            Better::Lower => other / ours,
        };
        self.ours.iter().zip(&self.other).map(ratio).collect()
    }
}

/// The middle of some numbers and their range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub lowest: f64,
    /// The median.
    pub median: f64,
    /// The largest.
    pub highest: f64,
}

impl Spread {
    /// Of these numbers; none of no numbers.
    pub fn of(numbers: &[f64]) -> Option<Self> {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (lowest, highest) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) };
        Some(Self { lowest, median, highest })
    }
}

/// The value that a share of the numbers does not exceed (nearest rank): 0.5 is the median. None of no numbers.
pub fn percentile(numbers: &[f64], share: f64) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Whether ours goes first in this round: what drifts during a run then falls on both sides.
pub fn ours_first(round: usize) -> bool {
    round.is_multiple_of(2)
}

/// What measures one side once.
pub type Side<'a> = Box<dyn FnMut() -> Result<f64> + 'a>;

/// A number of each side. They are taken in this order, and in the next round in the opposite one.
pub fn one_round<const SIDES: usize>(round: usize, sides: &mut [Side<'_>; SIDES]) -> Result<[f64; SIDES]> {
    let mut numbers = [0.0; SIDES];
    for place in 0..SIDES {
        let side = if ours_first(round) { place } else { SIDES - 1 - place };
        numbers[side] = sides[side]()?;
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_time_and_twice_the_rate_are_both_twice_as_fast() {
        let mut rate = Comparison::new("a", "records/s", Better::Higher, "b");
        rate.round(200.0, 100.0);
        let mut time = Comparison::new("a", "ms", Better::Lower, "b");
        time.round(5.0, 10.0);
        assert_eq!((rate.times_as_fast(), time.times_as_fast()), (vec![2.0], vec![2.0]));
    }

    #[test]
    fn every_other_round_turns_the_order_around() {
        let calls = std::cell::RefCell::new(Vec::new());
        let side = |number: f64| -> Side<'_> {
            let calls = &calls;
            Box::new(move || {
                calls.borrow_mut().push(number);
                Ok(number)
            })
        };
        let mut sides = [side(1.0), side(2.0)];
        for round in 0..2 {
            assert_eq!(one_round(round, &mut sides).unwrap(), [1.0, 2.0]);
        }
        drop(sides);
        assert_eq!(calls.into_inner(), [1.0, 2.0, 2.0, 1.0]);
    }

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_middle_ones() {
        assert_eq!(Spread::of(&[3.0, 1.0, 7.0]), Some(Spread { lowest: 1.0, median: 3.0, highest: 7.0 }));
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 9.0]).map(|spread| spread.median), Some(3.0));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn a_percentile_is_one_of_the_numbers() {
        let numbers: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!((percentile(&numbers, 0.5), percentile(&numbers, 0.99)), (Some(100.0), Some(198.0)));
        assert_eq!(percentile(&[5.0], 0.99), Some(5.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
