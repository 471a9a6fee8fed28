//! The bootstrap: repeatable, by document, and about as sure as it says.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use twin_evaluator::bootstrap::{Bootstrap, Pair, Part};
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

#[test]
fn the_interval_holds_the_true_difference_about_as_often_as_it_says() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (truth, trials) = (0.3, 400);
    let covered = (0..trials)
        .filter(|_| {
            let pairs: Vec<Pair> = (0..30)
                .map(|number| {
                    let level = 5.0 * normal(&mut random);
                    pair(number, level + truth + normal(&mut random), level)
                })
                .collect();
            let interval = Bootstrap { resamples: 500, ..bootstrap() }.difference(&pairs, 0).unwrap();
            interval.low <= truth && truth <= interval.high
        })
        .count();
    let share = covered as f64 / f64::from(trials);
    assert!((0.90..=0.98).contains(&share), "{share}");
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
    let pinned = [1.859_692_092_821_011_2, 1.308_581_010_976_925_4, 2.353_544_343_882_875_4];
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
fn nothing_measured_has_no_interval() {
    assert_eq!(bootstrap().difference(&[], 0), None);
    let only = bootstrap().difference(&[pair(1, 1.0, 0.0)], 0).unwrap();
    assert_eq!((only.mean, only.low, only.high), (1.0, 1.0, 1.0));
}
