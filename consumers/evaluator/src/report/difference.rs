//! Which words of a text another one lacks, so that two answers side by side show where they part.

use serde::Serialize;

/// Words compared, at most: time and memory grow with their square.
const MAX_WORDS: usize = 600;

/// Texts with a smaller share of words in common are simply different; marking nearly all of it would show nothing.
const LEAST_IN_COMMON: f64 = 0.3;

/// A run of words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Run {
    /// The words with the white space after them.
    pub(crate) text: String,
    /// The other text lacks them.
    pub(crate) differs: bool,
}

/// The text in runs; what is not in its longest common subsequence of words with `other` differs.
pub(crate) fn runs(text: &str, other: &str) -> Vec<Run> {
    let (ours, theirs) = (pieces(text), pieces(other));
    let plain = || vec![Run { text: text.to_owned(), differs: false }];
    if ours.len() > MAX_WORDS || theirs.len() > MAX_WORDS {
        return plain();
    }
    let is_common = common(&ours, &theirs);
    let shared = is_common.iter().filter(|common| **common).count() as f64;
    if shared < LEAST_IN_COMMON * ours.len().max(theirs.len()) as f64 {
        return plain();
    }
    let mut runs: Vec<Run> = Vec::new();
    for (piece, common) in ours.iter().zip(is_common) {
        match runs.last_mut().filter(|run| run.differs != common) {
            Some(run) => run.text.push_str(piece),
            None => runs.push(Run { text: (*piece).to_owned(), differs: !common }),
        }
    }
    unmark_spaces(&mut runs);
    runs
}

/// White space after the last word of a marked run goes to the run after it.
fn unmark_spaces(runs: &mut [Run]) {
    for index in 1..runs.len() {
        let (before, after) = runs.split_at_mut(index);
        if let (Some(marked), Some(next)) = (before.last_mut().filter(|run| run.differs), after.first_mut()) {
            let space = marked.text.split_off(marked.text.trim_end().len());
            next.text.insert_str(0, &space);
        }
    }
}

/// Words with the white space after them; together they are the text.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut in_space) = (0, false);
    for (index, character) in text.char_indices() {
        if in_space && !character.is_whitespace() {
            pieces.push(&text[start..index]);
            start = index;
        }
        in_space = character.is_whitespace();
    }
    pieces.push(&text[start..]);
    pieces
}

/// Which of `ours` are in the longest common subsequence with `theirs`.
fn common(ours: &[&str], theirs: &[&str]) -> Vec<bool> {
    let width = theirs.len() + 1;
    let same = |i: usize, j: usize| ours[i].trim_end() == theirs[j].trim_end();
    // lengths[i * width + j]: of the longest common subsequence of ours[i..] and theirs[j..].
    let mut lengths = vec![0u16; (ours.len() + 1) * width];
    for i in (0..ours.len()).rev() {
        for j in (0..theirs.len()).rev() {
            lengths[i * width + j] = if same(i, j) {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let mut is_common = vec![false; ours.len()];
    let (mut i, mut j) = (0, 0);
    while i < ours.len() && j < theirs.len() {
        if same(i, j) {
            is_common[i] = true;
            (i, j) = (i + 1, j + 1);
        } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    is_common
}
