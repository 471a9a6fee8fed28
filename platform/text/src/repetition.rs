//! Where a text that is being written begins to repeat itself.
//!
//! Small language models go round in circles, and what they write then is of no use to anybody. Two things are a loop:
//!
//! - a sentence or a line of four words or more that stands there for the third time within 400 words, where no more than 24
//!   words between the second time and the third are of sentences that are new: a refrain has a new verse before it. Numbers
//!   of a list are not looked at. Headings, and what leads to something else (`Run the following command:`), may stand there
//!   as often as they like;
//! - a cycle: words that repeat with a period of 1 to 40 words, for three rounds and 24 words at least. In a fenced block
//!   of code it is 96, since tables of numbers are written there, and a line may stand there as often as it likes.
//!
//! The text is good up to where the second time begins. The evaluator judges answers that are complete by the share of their
//! repeated 4-grams (`consumers/evaluator/src/degenerate.rs`). A share fits no text that is being written: it says that
//! there is a loop in some words and not where it begins, and what is half a loop can still become an answer.

use std::collections::HashMap;

use crate::markdown::Fence;
use crate::words::words;

/// Words of a sentence or a line that is a loop, at least.
const SENTENCE_WORDS: usize = 4;

/// Words from its first time to the end of its third, at most: a loop may be of a paragraph, and a text may come back to what it
/// began with.
const WINDOW: usize = 400;

/// Words of new sentences between its second time and its third, at most.
const NEW_WORDS: usize = 24;

/// Words of what is repeated in a cycle, at most.
const LONGEST_PERIOD: usize = 40;

/// How often that stands there, one after the other, at least.
const ROUNDS: usize = 3;

/// Words of all rounds of a cycle, at least: fewer are a refrain.
const SHORTEST_CYCLE: usize = 24;

/// As above, in code.
const SHORTEST_CYCLE_OF_CODE: usize = 96;

/// What is remembered of a text while it is written. It is given the same text each time, as far as it has come.
#[derive(Debug)]
pub struct Repetition {
    /// Bytes of the text that were read: whole words.
    read: usize,
    words: Vec<Word>,
    /// For each period from 1 on, how many of the last words are the same as the word so far before.
    runs: [usize; LONGEST_PERIOD],
    /// Where the line and the sentence that are being written begin, bytes; and that sentence's first word.
    line: usize,
    sentence: usize,
    first_word: usize,
    /// The fence of the code that is being written.
    fence: Option<Fence>,
    /// Sentences and lines so far, code included, each with its last time and the one before.
    said: HashMap<String, (Time, Option<Time>)>,
    /// Words of those that were new.
    new_words: usize,
}

/// A time that a sentence stands in the text.
#[derive(Debug, Clone, Copy)]
struct Time {
    /// Where it begins, bytes.
    start: usize,
    /// Its first word.
    word: usize,
    /// Words of new sentences before it, and of itself if it is one.
    new_words: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Word {
    text: String,
    start: usize,
}

impl Default for Repetition {
    fn default() -> Self {
        Self {
            read: 0,
            words: Vec::new(),
            runs: [0; LONGEST_PERIOD],
            line: 0,
            sentence: 0,
            first_word: 0,
            fence: None,
            said: HashMap::new(),
            new_words: 0,
        }
    }
}

impl Repetition {
    /// Reads what has come of `text` since the last time: the byte from which on it repeats itself, if it does. A last word
    /// that may not be complete is not read before it is.
    pub fn since(&mut self, text: &str) -> Option<usize> {
        while let Some((offset, mark)) = text[self.read..].char_indices().find(|(_, c)| !c.is_alphanumeric()) {
            let end = self.read + offset;
            let begun = self.word(text, self.read..end);
            self.read = end + mark.len_utf8();
            let begun = begun.or_else(|| self.mark(text, end, mark));
            if begun.is_some() {
                return begun;
            }
        }
        None
    }

    /// A run of letters and digits, which is a word, or several of a script that writes no spaces.
    fn word(&mut self, text: &str, range: std::ops::Range<usize>) -> Option<usize> {
        for word in words(&text[range.clone()]) {
            self.words.push(Word { text: word, start: range.start });
            let newest = self.words.len() - 1;
            for period in 1..=LONGEST_PERIOD.min(newest) {
                let is_same = self.words[newest].text == self.words[newest - period].text;
                let run = if is_same { self.runs[period - 1] + 1 } else { 0 };
                self.runs[period - 1] = run;
                if run + period >= self.shortest_cycle().max(ROUNDS * period) {
                    return Some(self.words[newest + 1 - run].start);
                }
            }
        }
        None
    }

    fn shortest_cycle(&self) -> usize {
        if self.fence.is_some() { SHORTEST_CYCLE_OF_CODE } else { SHORTEST_CYCLE }
    }

    /// What stands between words: it may end a sentence or a line.
    fn mark(&mut self, text: &str, at: usize, mark: char) -> Option<usize> {
        let is_line = mark == '\n';
        let behind = text[..at].chars().next_back();
        let is_wide = matches!(mark, '。' | '！' | '？');
        let is_sentence = is_wide || mark.is_whitespace() && matches!(behind, Some('.' | '!' | '?' | '…'));
        if !is_line && (!is_sentence || self.is_number_of_an_item()) {
            return None;
        }
        let said = text[self.sentence..at].trim();
        let leads_on = said.trim_end_matches(['*', '_']).ends_with([':', '\u{ff1a}']);
        let is_heading = text[self.line..at].trim_start().starts_with('#');
        let may_return = self.fence.is_some() || leads_on || is_heading;
        let begun = self.sentence().filter(|_| !may_return);
        (self.sentence, self.first_word) = (self.read, self.words.len());
        if is_line {
            let line = text[self.line..at].trim();
            self.fence = match self.fence {
                Some(fence) if fence.is_closed_by(line) => None,
                None => Fence::opened_by(line),
                open => open,
            };
            self.line = self.read;
        }
        begun
    }

    /// `1.` at the beginning of a line, which is no sentence.
    fn is_number_of_an_item(&self) -> bool {
        let is_number = |word: &Word| word.text.bytes().all(|byte| byte.is_ascii_digit());
        self.line == self.sentence && matches!(&self.words[self.first_word..], [word] if is_number(word))
    }

    /// Notes the sentence, or the line, that ends here: where its second time began, if this is the third.
    fn sentence(&mut self) -> Option<usize> {
        let words = &self.words[self.first_word..];
        // The number of a list's item.
        let is_numbered = words.first().is_some_and(|word| word.text.bytes().all(|byte| byte.is_ascii_digit()));
        let words = &words[usize::from(is_numbered)..];
        let count = words.len();
        if count == 0 {
            return None;
        }
        let said = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        let (start, word) = (self.sentence, self.first_word);
        let Some((last, before)) = self.said.get_mut(&said) else {
            self.new_words += count;
            self.said.insert(said, (Time { start, word, new_words: self.new_words }, None));
            return None;
        };
        let (first, second) = (*before, *last);
        (*last, *before) = (Time { start, word, new_words: self.new_words }, Some(second));
        let is_near = first.is_some_and(|first| self.words.len() - first.word <= WINDOW);
        let is_loop = count >= SENTENCE_WORDS && is_near && self.new_words - second.new_words <= NEW_WORDS;
        is_loop.then_some(second.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of a text that comes in pieces of so many characters.
    fn kept(text: &str, piece: usize) -> &str {
        let mut repetition = Repetition::default();
        let ends = text.char_indices().map(|(at, _)| at).skip(piece).step_by(piece).chain([text.len()]);
        for end in ends {
            if let Some(begun) = repetition.since(&text[..end]) {
                return &text[..begun];
            }
        }
        text
    }

    /// The same, however the text comes.
    fn left(text: &str) -> &str {
        let whole = kept(text, text.len().max(1));
        for piece in [1, 3, 7, 50] {
            assert_eq!(kept(text, piece), whole, "in pieces of {piece}");
        }
        whole
    }

    #[test]
    fn a_text_is_kept_up_to_the_second_time_of_a_sentence_that_stands_there_a_third_time() {
        let text = "A mill burned down. Nobody was hurt by it. It rains. Nobody was hurt by it.\nSo. Nobody was hurt by it. So";
        assert_eq!(left(text), "A mill burned down. Nobody was hurt by it. It rains. ");
        assert_eq!(left(&text[..text.len() - 24]), &text[..text.len() - 24], "twice is no loop");
    }

    #[test]
    fn numbers_of_a_list_do_not_hide_a_line_that_stands_there_again() {
        let text =
            "1. The topic is cut into parts\n2. The topic is cut into parts\n3. The topic is cut into parts\n4. And";
        assert_eq!(left(text), "1. The topic is cut into parts\n");
    }

    #[test]
    fn a_cycle_of_words_is_a_loop_after_three_rounds_and_24_words() {
        let cycle = |rounds: usize| format!("It is {}", "red, and green, and blue, and ".repeat(rounds));
        assert_eq!(left(&cycle(4)), "It is red, and green, and blue, and ");
        assert_eq!(left(&cycle(3)), cycle(3), "18 words are a refrain");
        let long = "one two three four five six seven eight nine ten, ";
        assert_eq!(left(&long.repeat(3)), long);
        assert_eq!(left(&long.repeat(2)), long.repeat(2));
        assert_eq!(left(&format!("So {}", "the ".repeat(30))), "So the ");
    }

    #[test]
    fn scripts_without_spaces_are_read_too() {
        let sentence = "川は山から海へ流れる。";
        assert_eq!(left(&sentence.repeat(4)), sentence);
    }

    #[test]
    fn lines_of_code_may_stand_there_as_often_as_they_like_and_a_cycle_of_code_is_longer() {
        let matrix = format!("```\n{}```\n", "0, 0, 0, 0,\n".repeat(12));
        assert_eq!(left(&matrix), matrix);
        let endless = format!("```\n{}", "step one of many();\n".repeat(40));
        assert_eq!(left(&endless), "```\nstep one of many();\n");
        let after = format!("```\nx\n```\n{}", "The same line of words.\n".repeat(3));
        assert_eq!(left(&after), "```\nx\n```\nThe same line of words.\n");
    }

    #[test]
    fn what_leads_to_code_and_headings_may_stand_there_as_often_as_they_like() {
        let steps: String = ["a", "b", "c", "d"]
            .map(|step| {
                format!("## What has to be done\n\n**Run the following command:**\n\n```\nmake {step}\n```\n\n")
            })
            .concat();
        assert_eq!(left(&steps), steps);
    }

    #[test]
    fn a_refrain_between_new_verses_and_a_sentence_that_comes_back_late_are_no_loops() {
        let verse =
            |n: usize| (0..6).map(|line| format!("Verse{n} has line{n}x{line} of its own\n")).collect::<String>();
        let song: String = (0..8).map(|n| format!("{}The river takes what it wants.\n\n", verse(n))).collect();
        assert_eq!(left(&song), song);
        let essay: String = (0..450).map(|n| format!("word{n} ")).collect();
        let late = format!("It was all in vain. {essay}. It was all in vain. So. It was all in vain.\n");
        assert_eq!(left(&late), late);
    }

    #[test]
    fn a_paragraph_that_comes_again_and_again_is_a_loop_however_long() {
        let paragraph: String = (0..20).map(|n| format!("Sentence{n} says thing{n} of part{n} here. ")).collect();
        let endless = format!("So it began. {}", paragraph.repeat(3));
        assert_eq!(left(&endless), format!("So it began. {paragraph}"));
        let code = "Then run the command below.\n```\nmake all\n```\n";
        assert_eq!(left(&code.repeat(4)), code);
    }

    #[test]
    fn documents_do_not_repeat_themselves() {
        for text in [
            include_str!("../../../README.md"),
            include_str!("../../../ARCHITECTURE.md"),
            include_str!("../../../CONTRIBUTING.md"),
            include_str!("../../../docs/api.md"),
            include_str!("../../../docs/events.md"),
            include_str!("../../../docs/guarantees.md"),
            include_str!("../../../docs/learning.md"),
            include_str!("../../../docs/metrics.md"),
            include_str!("../../../docs/operations.md"),
        ] {
            assert_eq!(left(text), text);
        }
    }
}
