//! Whether a text is the author's, by the impostors' method (Koppel and Winter 2014, "Determining if Two Documents Are
//! Written by the Same Author"; the score as in Koppel, Schler and Argamon 2011, "Authorship Attribution in the Wild").
//!
//! A text is held against the author's other texts and against those of impostors, again and again, each time by another
//! half of the features, drawn by lot. Its score is the share of rounds in which the author is nearer to it than every
//! impostor. A likeness says how near a text comes to the author, and half of that is that both are English; the score says
//! whether it comes nearer than others do, and by many different habits and not by one.
//!
//! Features are the character 4-grams of the text without its topic ([`super::masked`]) and its function words, each by the
//! square root of its relative frequency in its family: the few commonest would drown the rest. The likeness of two texts is
//! min-max (Ruzicka's), `sum min(a, b) / sum max(a, b)`, the best of those that Koppel and Winter tried. All texts of one writer
//! are read as one, and of each writer as much as of the others: a profile of a longer text is denser and comes nearer to
//! anything.
//!
//! How well that works is measured by `tests/evaluation_authorship.rs` on writers whose texts had no part in the choices above.

use std::cell::RefCell;
use std::sync::Arc;

use super::masked::{Language, Masked};

/// Rounds, each with another half of the features.
const ROUNDS: usize = 100;

/// Characters of an n-gram.
const GRAM: usize = 4;

/// Of a writer with fewer characters than this there is too little to know.
pub const LEAST_CHARS: usize = 1_500;

/// Characters that are read of each writer, at most: more tells no more.
const MOST_CHARS: usize = 12_000;

/// The step of SplitMix64, the golden ratio in 64 bits: makes a second number of a first.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// An author and the impostors, ready to be asked for texts.
#[derive(Debug, Clone)]
pub struct Impostors {
    language: Language,
    /// The author first.
    writers: Vec<Arc<Profile>>,
}

impl Impostors {
    /// `author` are the texts that the author is known by, `others` those of each impostor. Impostors of whom there is too
    /// little are left out. None if there is too little of the author, or no impostor is left.
    pub fn new(author: &[&str], others: &[Vec<&str>], language: Language) -> Option<Self> {
        Pool::new(others.to_vec(), language).against(author, &[])
    }

    /// The share of rounds in which the author is nearer to the text than every impostor: 0 to 1. A text without a feature is
    /// nobody's.
    pub fn score(&self, text: &str) -> f64 {
        let text = Profile::of(text, self.language);
        let likenesses: Vec<[f64; ROUNDS]> = self.writers.iter().map(|writer| writer.likenesses(&text)).collect();
        let Some((author, impostors)) = likenesses.split_first() else { return 0.0 };
        let is_nearest = |round: &usize| impostors.iter().all(|impostor| impostor[*round] < author[*round]);
        (0..ROUNDS).filter(is_nearest).count() as f64 / ROUNDS as f64
    }
}

/// Impostors who stay the same while an author is held against them again and again, each time by other texts.
#[derive(Debug)]
pub struct Pool<'a> {
    language: Language,
    writers: Vec<Vec<&'a str>>,
    /// Characters of the shortest writer, at most [`MOST_CHARS`].
    shortest: usize,
    /// How they were read last.
    read: RefCell<Option<Read>>,
}

/// Writers, of each so many characters.
#[derive(Debug)]
struct Read {
    budget: usize,
    profiles: Vec<Arc<Profile>>,
}

impl<'a> Pool<'a> {
    /// `writers` are the texts of each. Writers of whom there is too little are left out.
    pub fn new(mut writers: Vec<Vec<&'a str>>, language: Language) -> Self {
        writers.retain(|texts| length(texts) >= LEAST_CHARS);
        let shortest = writers.iter().map(|texts| length(texts)).min().unwrap_or(MOST_CHARS).min(MOST_CHARS);
        Self { language, writers, shortest, read: RefCell::new(None) }
    }

    /// In which language they write.
    pub fn language(&self) -> Language {
        self.language
    }

    /// An author against them and `others`, as [`Impostors::new`].
    pub fn against(&self, author: &[&str], others: &[Vec<&str>]) -> Option<Impostors> {
        let others: Vec<&[&str]> =
            others.iter().map(Vec::as_slice).filter(|texts| length(texts) >= LEAST_CHARS).collect();
        if length(author) < LEAST_CHARS || (others.is_empty() && self.writers.is_empty()) {
            return None;
        }
        let own: Vec<&[&str]> = std::iter::once(author).chain(others).collect();
        let budget = own.iter().map(|texts| length(texts)).fold(self.shortest, usize::min);
        let mut writers: Vec<Arc<Profile>> = own.into_iter().map(|texts| self.profile(texts, budget)).collect();
        writers.extend(self.profiles(budget));
        Some(Impostors { language: self.language, writers })
    }

    /// The profiles of all, of so many characters each: made anew only if that is another number than the last time.
    fn profiles(&self, budget: usize) -> Vec<Arc<Profile>> {
        let mut read = self.read.borrow_mut();
        if let Some(kept) = read.as_ref().filter(|read| read.budget == budget) {
            return kept.profiles.clone();
        }
        let profiles: Vec<Arc<Profile>> = self.writers.iter().map(|texts| self.profile(texts, budget)).collect();
        *read = Some(Read { budget, profiles: profiles.clone() });
        profiles
    }

    fn profile(&self, texts: &[&str], budget: usize) -> Arc<Profile> {
        Arc::new(Profile::of(&beginning(texts, budget), self.language))
    }
}

/// Characters of texts.
fn length(texts: &[&str]) -> usize {
    texts.iter().map(|text| text.chars().count()).sum()
}

/// The beginning of texts that stand one after the other, in characters.
fn beginning(texts: &[&str], budget: usize) -> String {
    let mut left = budget;
    let mut beginning = String::new();
    for text in texts {
        if left == 0 {
            break;
        }
        let end = text.char_indices().nth(left).map_or(text.len(), |(end, _)| end);
        left -= text[..end].chars().count();
        beginning.push_str(&text[..end]);
        beginning.push('\n');
    }
    beginning
}

/// How often each feature stands in a text.
#[derive(Debug, Clone)]
struct Profile {
    /// A feature's hash and its weight, ascending.
    features: Vec<(u64, f64)>,
    /// Of each round, the sum of the weights of its features.
    sums: [f64; ROUNDS],
}

impl Profile {
    fn of(text: &str, language: Language) -> Self {
        let Masked { text, kept } = Masked::of(text, language);
        let characters: Vec<char> = text.chars().collect();
        let grams = characters.windows(GRAM).map(|gram| hash('g', gram.iter().copied())).collect();
        let words = kept.iter().map(|word| hash('w', word.chars())).collect();
        let mut features: Vec<(u64, f64)> = [grams, words].into_iter().flat_map(weights).collect();
        features.sort_by_key(|(feature, _)| *feature);
        let mut sums = [0.0; ROUNDS];
        for (feature, weight) in &features {
            rounds_of(*feature).for_each(|round| sums[round] += weight);
        }
        Self { features, sums }
    }

    /// Min-max of this writer and a text in each round. The sum of the larger weights is that of both less that of the smaller.
    fn likenesses(&self, text: &Self) -> [f64; ROUNDS] {
        let mut smaller = [0.0; ROUNDS];
        let mut ours = self.features.iter().peekable();
        for (feature, weight) in &text.features {
            while ours.next_if(|(our, _)| our < feature).is_some() {}
            if let Some((_, our_weight)) = ours.next_if(|(our, _)| our == feature) {
                let least = weight.min(*our_weight);
                rounds_of(*feature).for_each(|round| smaller[round] += least);
            }
        }
        std::array::from_fn(|round| {
            let larger = self.sums[round] + text.sums[round] - smaller[round];
            if larger > 0.0 { smaller[round] / larger } else { 0.0 }
        })
    }
}

/// The features of a family, each with the square root of its share.
fn weights(mut family: Vec<u64>) -> Vec<(u64, f64)> {
    let total = family.len() as f64;
    family.sort_unstable();
    family.chunk_by(|a, b| a == b).map(|same| (same[0], (same.len() as f64 / total).sqrt())).collect()
}

/// The rounds that a feature is drawn in: each with a probability of one half, by the bits of numbers that follow from its hash.
fn rounds_of(feature: u64) -> impl Iterator<Item = usize> {
    let numbers = (u128::from(mixed(feature)) << 64) | u128::from(mixed(feature ^ GOLDEN));
    let mut drawn = numbers & ((1 << ROUNDS) - 1);
    std::iter::from_fn(move || {
        let round = (drawn != 0).then(|| drawn.trailing_zeros() as usize)?;
        drawn &= drawn - 1;
        Some(round)
    })
}

/// FNV-1a over the characters, of which `family` is the first.
fn hash(family: char, characters: impl Iterator<Item = char>) -> u64 {
    let step = |hash: u64, character: char| (hash ^ u64::from(u32::from(character))).wrapping_mul(0x0100_0000_01b3);
    std::iter::once(family).chain(characters).fold(0xcbf2_9ce4_8422_2325, step)
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): each bit depends on all of the number's.
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_read_up_to_the_budget_and_no_line_beyond_it() {
        assert_eq!(beginning(&["abc", "d\u{e9}f", "g", "h"], 5), "abc\nd\u{e9}\n");
        assert_eq!(beginning(&["abc", "de", "f", "g"], 5), "abc\nde\n");
        assert_eq!(beginning(&["abc", "de"], 9), "abc\nde\n");
    }

    #[test]
    fn an_author_is_held_against_a_pool_again_and_again_as_against_its_writers() {
        let text = |word: &str, lines: usize| format!("It was {word}, as they said, and so it is.\n").repeat(lines);
        let (author, less, other, third) = (text("blue", 90), text("blue", 60), text("red-ish!", 80), text("OLD?", 99));
        let pool = Pool::new(vec![vec![other.as_str()], vec![third.as_str()], vec!["too little"]], Language::English);
        for known in [author.as_str(), less.as_str(), author.as_str()] {
            let pooled = pool.against(&[known], &[]).unwrap();
            let made =
                Impostors::new(&[known], &[vec![other.as_str()], vec![third.as_str()]], Language::English).unwrap();
            assert_eq!(pooled.writers.len(), 3, "there is too little of one");
            let features = |of: &Impostors| of.writers.iter().map(|one| one.features.clone()).collect::<Vec<_>>();
            assert_eq!(features(&pooled), features(&made));
        }
        // Beside one who is longer than the pool's writers, these are the same profiles and not made again.
        let (once, again) =
            (pool.against(&[author.as_str()], &[]).unwrap(), pool.against(&[author.as_str()], &[]).unwrap());
        assert!(Arc::ptr_eq(&once.writers[1], &again.writers[1]));
        assert!(Pool::new(Vec::new(), Language::English).against(&[author.as_str()], &[]).is_none());
        assert!(
            Pool::new(Vec::new(), Language::English).against(&[author.as_str()], &[vec![other.as_str()]]).is_some()
        );
    }
}
