//! Words, sequences of them, and hashes that are the same on every machine.

use sha2::{Digest, Sha256};

use crate::styled::shown;

/// Words of a sequence that leaks: as in the decontamination of GPT-3's successors, a run of eight words in common is
/// copied and not chance.
pub(crate) const LEAK_WORDS: usize = 8;

/// The hash of each word, in order. Words are compared in lower case, without punctuation and in plain letters however they
/// are styled; in scripts that are written without spaces each character is a word.
pub(crate) fn word_hashes(text: &str) -> Vec<u64> {
    let mut hashes = Vec::with_capacity(text.len() / 6);
    let mut word = Fnv::default();
    for character in shown(text).chars() {
        if stands_alone(character) {
            hashes.extend(word.take());
            word.push(character);
            hashes.extend(word.take());
        } else if character.is_alphanumeric() {
            character.to_lowercase().for_each(|lower| word.push(lower));
        } else if !matches!(character, '\'' | '’') {
            hashes.extend(word.take());
        }
    }
    hashes.extend(word.take());
    hashes
}

/// The distinct sequences of `length` words, ascending. A text with fewer words has none.
pub(crate) fn sequences(words: &[u64], length: usize) -> Vec<u64> {
    let mut hashes: Vec<u64> = words.windows(length).map(combined).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// The sequences of words that two texts must not share.
pub(crate) fn leak_sequences(text: &str) -> Vec<u64> {
    sequences(&word_hashes(text), LEAK_WORDS)
}

/// How many values two ascending lists have in common.
pub(crate) fn common(left: &[u64], right: &[u64]) -> usize {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    let mut count = 0;
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        match a.cmp(b) {
            std::cmp::Ordering::Less => {
                left.next();
            }
            std::cmp::Ordering::Greater => {
                right.next();
            }
            std::cmp::Ordering::Equal => {
                count += 1;
                left.next();
                right.next();
            }
        }
    }
    count
}

/// One hash of several, in their order.
pub(crate) fn combined(hashes: &[u64]) -> u64 {
    hashes.iter().fold(hashes.len() as u64, |hash, next| mixed(hash ^ next))
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014): every bit of the result depends on every bit of `value`.
pub(crate) fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A number that seed and parts decide, evenly spread. Used instead of a random generator wherever something is chosen,
/// so that a choice does not depend on what was chosen before it.
pub(crate) fn choice(seed: u64, parts: &[&str]) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// As a number from 0 up to 1.
pub(crate) fn unit(choice: u64) -> f64 {
    // 53 bits: every such number is exact.
    (choice >> 11) as f64 / (1_u64 << 53) as f64
}

/// Characters of scripts that are written without spaces.
fn stands_alone(character: char) -> bool {
    matches!(character, '\u{e00}'..='\u{eff}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

/// FNV-1a over a word's characters, mixed at the end.
#[derive(Default)]
struct Fnv {
    hash: u64,
    characters: usize,
}

impl Fnv {
    fn push(&mut self, character: char) {
        let start = if self.characters == 0 { 0xcbf2_9ce4_8422_2325 } else { self.hash };
        self.hash = (start ^ u64::from(u32::from(character))).wrapping_mul(0x100_0000_01b3);
        self.characters += 1;
    }

    fn take(&mut self) -> Option<u64> {
        let hash = (self.characters > 0).then(|| mixed(self.hash));
        *self = Self::default();
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_whatever_their_case_and_punctuation() {
        assert_eq!(word_hashes("Don't panic, World!"), word_hashes("dont PANIC -- world"));
        assert_eq!(word_hashes("𝗗𝗼𝗻'𝘁 𝑝𝑎𝑛𝑖𝑐, Ｗｏｒｌｄ!"), word_hashes("Don't panic, World!"));
        assert_eq!(word_hashes("日本語").len(), 3);
        assert_eq!(word_hashes(" -- ").len(), 0);
        assert_ne!(word_hashes("a b"), word_hashes("b a"));
    }

    #[test]
    fn sequences_are_counted_once_and_compared() {
        let words = word_hashes("one two three one two three");
        assert_eq!(sequences(&words, 3).len(), 3);
        assert_eq!(sequences(&words, 7).len(), 0);
        assert_eq!(common(&[1, 3, 5], &[3, 4, 5, 6]), 2);
    }

    #[test]
    fn a_choice_is_the_same_on_every_machine() {
        assert_eq!(choice(7, &["a", "bc"]), 0x5abe_3e6d_2293_de48);
        assert_ne!(choice(7, &["ab", "c"]), choice(7, &["a", "bc"]));
        assert!((0.0..1.0).contains(&unit(u64::MAX)));
    }
}
