//! The bootstrap: repeatable, by document, and about as sure as it says, of few documents and of many looks too.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use twin_evaluator::bootstrap::{Bootstrap, Pair, Part, student};
use twin_evaluator::looks::level;
use twin_schemas::DocumentId;

fn document(number: u128) -> DocumentId {
    DocumentId(format!("{number:032x}").parse::<DocumentId>().unwrap().0)
}

fn bootstrap() -> Bootstrap {
    Bootstrap { resamples: 2_000, confidence: 0.95, seed: 7 }
}

fn pair(number: u128, candidate: f64, production: f64) -> Pair {
    Pair { document: document(number), candidate: Part::one(candidate), production: Part::one(production) }
}

/// Roughly normal, mean 0 and variance 1: twelve uniform numbers.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

/// Values of known mean.
#[derive(Debug, Clone, Copy)]
enum Spread {
    /// Normal.
    Normal,
    /// Exponential: skewed to the right.
    SkewedUp,
    /// The same turned round.
    SkewedDown,
    /// Two shares of two answers each.
    Shares,
}

impl Spread {
    fn mean(self) -> f64 {
        match self {
            Self::Normal => 0.3,
            Self::SkewedUp => 1.0,
            Self::SkewedDown => -1.0,
            Self::Shares => 0.2,
        }
    }

    /// Candidate less production in one document.
    fn draw(self, random: &mut ChaCha8Rng) -> f64 {
        let exponential = |random: &mut ChaCha8Rng| -(1.0 - random.random::<f64>()).ln();
        let flag = |random: &mut ChaCha8Rng, share| f64::from(u8::from(random.random::<f64>() < share));
        match self {
            Self::Normal => 0.3 + normal(random),
            Self::SkewedUp => exponential(random),
            Self::SkewedDown => -exponential(random),
            Self::Shares => {
                let halves = [0; 2].map(|_| flag(random, 0.7) - flag(random, 0.5));
                (halves[0] + halves[1]) / 2.0
            }
        }
    }
}

/// The share of intervals of 95 % that hold the truth, in per cent.
fn coverage(spread: Spread, documents: u128, trials: u32) -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let bootstrap = Bootstrap { resamples: 400, ..bootstrap() };
    let covered = (0..trials)
        .filter(|_| {
            let pairs: Vec<Pair> = (0..documents)
                .map(|number| {
                    let level = 5.0 * normal(&mut random);
                    pair(number, level + spread.draw(&mut random), level)
                })
                .collect();
            let interval = bootstrap.difference(&pairs, 0).unwrap();
            interval.low <= spread.mean() && spread.mean() <= interval.high
        })
        .count();
    100.0 * covered as f64 / f64::from(trials)
}

/// The table in docs/learning.md. Of the quantiles of the differences themselves, 5 documents cover 84 % and skewed ones 78 %.
#[test]
fn intervals_of_few_documents_hold_the_truth_about_as_often_as_they_say() {
    let spreads = [Spread::Normal, Spread::SkewedUp, Spread::SkewedDown, Spread::Shares];
    for (documents, least) in [(5, 92.5), (10, 92.5), (30, 94.0)] {
        let covered = spreads.map(|spread| coverage(spread, documents, 2_000));
        for (spread, share) in spreads.iter().zip(covered) {
            assert!((least..=98.5).contains(&share), "{documents} documents, {spread:?}: {share} %");
        }
    }
}

#[test]
fn twenty_trainings_that_learn_nothing_promote_noise_no_more_often_than_one_may() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let (trainings, rows) = (20, 200);
    let mut promoted = |confidence: &dyn Fn(u32) -> f64| {
        let row = |random: &mut ChaCha8Rng| {
            (1..=trainings).any(|look| {
                let pairs: Vec<Pair> = (0..10).map(|number| pair(number, normal(random), 0.0)).collect();
                let bootstrap = Bootstrap { resamples: 200, confidence: confidence(look), seed: 7 };
                bootstrap.difference(&pairs, 0).unwrap().low > 0.0
            })
        };
        (0..rows).filter(|_| row(&mut random)).count() as f64 / f64::from(rows)
    };
    let (unpaid, paid) = (promoted(&|_| 0.95), promoted(&|look| level(0.95, look)));
    assert!(paid <= 0.05, "{paid}");
    assert!(unpaid > 0.25, "the same level at each look: {unpaid}");
}

#[test]
fn students_quantiles_are_those_of_the_tables() {
    for (level, degrees, tabled) in
        [(0.95, 1, 12.7062), (0.95, 4, 2.7764), (0.95, 9, 2.2622), (0.99, 7, 3.4995), (0.95, 1_000, 1.9623)]
    {
        assert!((student(level, degrees) - tabled).abs() < 5e-5, "{level} {degrees}");
    }
}

#[test]
fn the_same_seed_gives_the_same_interval_and_another_stream_another() {
    let pairs: Vec<Pair> = (0..20).map(|number| pair(number, (number % 7) as f64, (number % 3) as f64)).collect();
    let interval = |stream| bootstrap().difference(&pairs, stream).unwrap();
    assert_eq!(interval(0), interval(0));
    assert_ne!((interval(0).low, interval(0).high), (interval(1).low, interval(1).high));
    assert_eq!(interval(0).mean, interval(1).mean);
}

#[test]
fn the_order_of_documents_does_not_matter() {
    let pairs: Vec<Pair> = (0..20).map(|number| pair(number, (number % 7) as f64, (number % 3) as f64)).collect();
    let reversed: Vec<Pair> = pairs.iter().rev().copied().collect();
    assert_eq!(bootstrap().difference(&pairs, 0), bootstrap().difference(&reversed, 0));
}

#[test]
fn a_pinned_interval_is_the_same_on_every_machine() {
    let pairs: Vec<Pair> = (0..20).map(|number| pair(number, (number as f64).sqrt(), 1.0)).collect();
    let interval = bootstrap().difference(&pairs, 0).unwrap();
    let pinned = [1.859_692_092_821_011_2, 1.174_779_812_424_078_3, 2.411_819_889_912_903];
    for (value, pinned) in [interval.mean, interval.low, interval.high].into_iter().zip(pinned) {
        assert!((value - pinned).abs() < 1e-12, "{interval:?}");
    }
}

#[test]
fn many_samples_of_one_document_are_no_surer_than_one() {
    let few: Vec<Pair> = (0..8).map(|number| pair(number, (number % 4) as f64, 1.0)).collect();
    let many: Vec<Pair> = (0..10).flat_map(|_| few.clone()).collect();
    let width = |pairs: &[Pair]| bootstrap().difference(pairs, 0).map(|interval| interval.high - interval.low).unwrap();
    assert!((width(&few) - width(&many)).abs() < 1e-9);
}

#[test]
fn models_that_do_the_same_differ_by_nothing_for_certain() {
    let pairs: Vec<Pair> = (0..9).map(|number| pair(number, 0.1 * number as f64, 0.1 * number as f64)).collect();
    let interval = bootstrap().difference(&pairs, 0).unwrap();
    assert_eq!((interval.mean, interval.low, interval.high), (0.0, 0.0, 0.0));
}

#[test]
fn a_ratio_weighs_long_samples_more() {
    let part = |numerator, denominator| Part { numerator, denominator };
    assert_eq!(Part::ratio([part(10.0, 10.0), part(300.0, 100.0)]), 310.0 / 110.0);
}

#[test]
fn nothing_measured_and_a_single_document_have_no_interval() {
    assert_eq!(bootstrap().difference(&[], 0), None);
    assert_eq!(bootstrap().difference(&[pair(1, 1.0, 0.0), pair(1, 0.5, 0.0)], 0), None, "one document");
}
