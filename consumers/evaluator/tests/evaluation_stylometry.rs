//! Two authors who write about the same twelve things, one plainly and one ornately, are told apart.

use proptest::prelude::*;
use twin_evaluator::stylometry::{Delta, NgramProfile};
use twin_text::words::words;

const PLAIN: &str = include_str!("data/plain.txt");
const ORNATE: &str = include_str!("data/ornate.txt");

fn pieces(text: &str) -> Vec<&str> {
    text.split("\n\n").map(str::trim).collect()
}

/// Everything but the piece at `left_out`: topic `left_out` is then in neither author's known text.
fn others<'a>(pieces: &[&'a str], left_out: usize) -> Vec<&'a str> {
    pieces.iter().enumerate().filter(|(index, _)| *index != left_out).map(|(_, piece)| *piece).collect()
}

/// The share of pieces that are nearer to their own author's other pieces than to the other author's.
fn accuracy(is_own: impl Fn(&str, &[&str], &[&str]) -> bool) -> f64 {
    let (plain, ornate) = (pieces(PLAIN), pieces(ORNATE));
    assert_eq!(plain.len(), ornate.len());
    let right: usize = (0..plain.len())
        .map(|topic| {
            let (plain_others, ornate_others) = (others(&plain, topic), others(&ornate, topic));
            usize::from(is_own(plain[topic], &plain_others, &ornate_others))
                + usize::from(is_own(ornate[topic], &ornate_others, &plain_others))
        })
        .sum();
    right as f64 / (2 * plain.len()) as f64
}

#[test]
fn character_n_grams_find_the_author_of_an_unseen_piece() {
    let found = accuracy(|piece, own, other| {
        let piece = NgramProfile::of(piece);
        let likeness = |texts: &[&str]| piece.cosine(&NgramProfile::of(&texts.join(" ")));
        likeness(own) > likeness(other)
    });
    assert!(found >= 0.95, "{found}");
}

#[test]
fn delta_finds_the_author_of_an_unseen_piece() {
    let found = accuracy(|piece, own, other| {
        let split = |texts: &[&str]| texts.iter().map(|text| words(text)).collect::<Vec<_>>();
        let (piece, own, other) = (words(piece), split(own), split(other));
        let (own, other): (Vec<&[String]>, Vec<&[String]>) =
            (own.iter().map(Vec::as_slice).collect(), other.iter().map(Vec::as_slice).collect());
        let delta = Delta::fit(&own, &other, 150);
        let distance =
            |texts: &[&[String]]| Delta::distance(delta.vector(&piece).as_deref(), delta.centroid(texts).as_deref());
        distance(&own) < distance(&other) && distance(&own) < 1.0
    });
    assert!(found >= 0.95, "{found}");
}

#[test]
fn a_text_without_words_is_like_nobody() {
    let author = NgramProfile::of(PLAIN);
    assert_eq!(NgramProfile::of("").cosine(&author), 0.0);
    let (plain, ornate) = (words(PLAIN), words(ORNATE));
    let delta = Delta::fit(&[&plain], &[&ornate], 150);
    assert_eq!(delta.vector(&words("...")), None);
    assert_eq!(delta.centroid(&[]), None);
    assert_eq!(Delta::distance(None, delta.vector(&plain).as_deref()), 1.0);
}

#[test]
fn texts_that_are_all_alike_give_numbers_all_the_same() {
    let piece = words(pieces(PLAIN)[0]);
    let delta = Delta::fit(&[&piece, &piece], &[&piece], 50);
    let vector = delta.vector(&piece);
    assert_eq!(Delta::distance(vector.as_deref(), vector.as_deref()), 1.0);
}

proptest! {
    #[test]
    fn a_profile_without_what_was_added_is_the_profile(a in "\\PC{0,200}", b in "\\PC{0,200}") {
        let (a, b) = (NgramProfile::of(&a), NgramProfile::of(&b));
        prop_assert_eq!(a.plus(&b).minus(&b), a.clone());
        prop_assert_eq!(a.plus(&b), b.plus(&a));
    }

    #[test]
    fn likeness_is_symmetric_between_0_and_1_and_1_with_itself(a in "\\PC{3,200}", b in "\\PC{0,200}") {
        let (a, b) = (NgramProfile::of(&a), NgramProfile::of(&b));
        let likeness = a.cosine(&b);
        prop_assert!((0.0..=1.0 + 1e-9).contains(&likeness));
        prop_assert!((likeness - b.cosine(&a)).abs() < 1e-9);
        if a != NgramProfile::default() {
            prop_assert!((a.cosine(&a) - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn delta_stays_between_0_and_2(a in "([a-e]{1,2} ){10,40}", b in "([a-e]{1,2} ){10,40}") {
        let (a, b) = (words(&a), words(&b));
        let delta = Delta::fit(&[&a], &[&b], 20);
        let (a, b) = (delta.vector(&a), delta.vector(&b));
        let distance = Delta::distance(a.as_deref(), b.as_deref());
        prop_assert!((-1e-9..=2.0 + 1e-9).contains(&distance), "{}", distance);
    }
}
