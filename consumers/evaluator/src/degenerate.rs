//! Answers that nobody would want to read, whatever they say: empty ones, loops, and ones that do not end.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_schemas::FinishReason;
use twin_text::words::words;

use crate::{Answer, Options};

/// Words looked at together for repetitions.
const WINDOW: usize = 64;

/// Words of what is repeated.
const GRAM: usize = 4;

/// Fewer words than this are never a loop: a refrain is not one.
const SHORTEST_LOOP: usize = 24;

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Degeneration {
    /// It has no word.
    Empty,
    /// It goes round in circles.
    Loop,
    /// It does not end.
    Overlong,
}

/// What is wrong with an answer to which `reference` was looked for, if anything.
///
/// - Empty: no word.
/// - Loop: in some window of 64 words, the share of word 4-grams that stood in the window before is at least
///   [`Options::loop_share`]. This is `seq-rep-4` of Welleck et al. 2020 ("Neural Text Generation with Unlikelihood
///   Training", section 4), taken over windows, so that a good beginning does not hide a looping end.
/// - Overlong: cut off by the token limit at [`Options::overlong_ratio`] times the reference's words or more, or longer
///   than [`Options::max_words`]. Being cut off alone is not wrong: the limit is the evaluation's, and an answer may be
///   as long as the author's own text.
pub fn degeneration(answer: &Answer, reference: &str, options: &Options) -> Option<Degeneration> {
    let answer_words = words(&answer.text);
    if answer_words.is_empty() {
        return Some(Degeneration::Empty);
    }
    if repeated_share(&answer_words) >= options.loop_share {
        return Some(Degeneration::Loop);
    }
    let tolerated = options.overlong_ratio * words(reference).len() as f64;
    let does_not_end = answer.finish_reason == FinishReason::Length && answer_words.len() as f64 >= tolerated;
    if does_not_end || answer_words.len() > options.max_words {
        return Some(Degeneration::Overlong);
    }
    None
}

/// The largest share of repeated 4-grams in any window.
fn repeated_share(words: &[String]) -> f64 {
    if words.len() < SHORTEST_LOOP {
        return 0.0;
    }
    let last = words.len().saturating_sub(WINDOW);
    // Windows overlap by half, and the last ends where the text does.
    let starts = (0..last).step_by(WINDOW / 2).chain([last]);
    starts.map(|start| repeated_in(&words[start..words.len().min(start + WINDOW)])).fold(0.0, f64::max)
}

fn repeated_in(window: &[String]) -> f64 {
    let distinct: HashSet<&[String]> = window.windows(GRAM).collect();
    let total = window.len() + 1 - GRAM;
    (total - distinct.len()) as f64 / total as f64
}
