//! Which claims of a text that is being written are complete.
//!
//! A part of the text is complete when another has begun behind it and nothing that may still come makes it another: it is read
//! up to the word that is being written, or only up to the line or the mark that may still become something else (a row of a
//! table, a fence, a back-tick that may close, a paragraph in quotation marks). What stands before a blank line outside of code
//! never changes, and is read once.
//!
//! One thing is not waited for: a line that the next one underlines is a heading, and its sentences were none. Whoever was told
//! of them is told at the end what counts.

use twin_text::blocks::blocks;
use twin_text::code_marks::code;
use twin_text::markdown::Fence;

use super::claims::{Claim, claims_of};
use super::pieces::{Piece, pieces};

/// Claims that are told at once, at most: to judge one takes about a millisecond.
const AT_ONCE: usize = 8;

/// A part of the text that has no blank line is read again at each look: whenever it has grown by this share of it.
const STEP: usize = 64;

/// A longer one, bytes, is left for the end, with what stands behind it.
const LONGEST: usize = 32_768;

/// What was told of a text so far. It is given the same text each time, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Bytes that are told and never change.
    closed: usize,
    /// Of what stands behind them, parts that were told.
    told: usize,
    /// Bytes at the last look that found nothing.
    looked: usize,
}

impl Settled {
    /// The next claims that are complete, in order; none, if there are no further ones yet.
    pub(super) fn next(&mut self, text: &str) -> Vec<Claim> {
        let open = text.len() - self.closed;
        if open > LONGEST || text.len() < self.looked + 1 + open / STEP {
            return Vec::new();
        }
        loop {
            let rest = &text[self.closed..];
            let end = closed(rest);
            let is_closed = end > 0;
            let read = if is_closed { &rest[..end] } else { certain(rest) };
            let mut complete = pieces(read);
            if !is_closed {
                complete.pop();
            }
            let new: Vec<Piece> = complete.iter().skip(self.told).take(AT_ONCE).cloned().collect();
            let is_idle = new.is_empty();
            self.told += new.len();
            if is_closed && self.told >= complete.len() {
                (self.closed, self.told) = (self.closed + end, 0);
            }
            let claims = claims_of(read, new);
            if !claims.is_empty() {
                return claims;
            }
            if is_idle && !is_closed {
                self.looked = text.len();
                return claims;
            }
        }
    }
}

/// Where the last blank line outside of code ends, bytes. A last line without an end may still become something else.
fn closed(text: &str) -> usize {
    let mut fence: Option<Fence> = None;
    let (mut start, mut closed) = (0, 0);
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        start += line.len();
        let content = line.trim();
        fence = match fence {
            Some(open) if open.is_closed_by(content) => None,
            None => Fence::opened_by(content),
            open => open,
        };
        if content.is_empty() && fence.is_none() {
            closed = start;
        }
    }
    closed
}

/// As much of a text as is what it is, whatever comes next; but for its last part, which may go on.
fn certain(text: &str) -> &str {
    let is_gap = |c: char| c.is_whitespace() || matches!(c, '。' | '！' | '？');
    let end = text.rfind(is_gap).map_or(0, |at| at + text[at..].chars().next().map_or(0, char::len_utf8));
    let mut read = &text[..end];
    let line = read.rfind('\n').map_or(0, |at| at + 1);
    if ["|", "```", "~~~"].iter().any(|mark| read[line..].trim_start().starts_with(mark)) {
        read = &read[..line];
    }
    // What is left out may have closed what stands before it.
    loop {
        let left = without_open_quotation(without_open_code(read));
        if left.len() == read.len() {
            return read;
        }
        read = left;
    }
}

/// A text up to its first back-tick that begins or ends no code.
fn without_open_code(text: &str) -> &str {
    let within = code(text);
    let is_loose = |at: &usize| !within.iter().any(|range| range.contains(at));
    let loose = text.match_indices('`').map(|(at, _)| at).find(is_loose);
    &text[..loose.unwrap_or(text.len())]
}

/// A text without its last paragraph, if that begins with a quotation mark and may be a quotation as a whole.
fn without_open_quotation(text: &str) -> &str {
    match blocks(text).blocks.last() {
        Some(last) if text[last.range.clone()].starts_with(['"', '“', '«', '„']) => &text[..last.range.start],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::claims::claims;
    use super::*;

    /// What is told of a text that comes in pieces of so many characters, with how much of it had come.
    fn told(text: &str, piece: usize) -> Vec<(String, usize)> {
        let mut settled = Settled::default();
        let mut told = Vec::new();
        let ends = text.char_indices().map(|(at, _)| at).skip(piece).step_by(piece).chain([text.len()]);
        for end in ends {
            loop {
                let new = settled.next(&text[..end]);
                if new.is_empty() {
                    break;
                }
                told.extend(new.into_iter().map(|claim| (claim.text, end)));
            }
        }
        told
    }

    fn texts(text: &str, piece: usize) -> Vec<String> {
        told(text, piece).into_iter().map(|(claim, _)| claim).collect()
    }

    const PROSE: &str = "The hive survived the frost. I wrapped it in wool [1]. In February the queen laid eggs";

    #[test]
    fn a_sentence_is_told_when_the_next_has_a_word_and_the_last_is_not_told() {
        let found = told(PROSE, 1);
        let sentences: Vec<&str> = found.iter().map(|(claim, _)| claim.as_str()).collect();
        assert_eq!(sentences, ["The hive survived the frost.", "I wrapped it in wool [1]."]);
        let is_before = |at: usize, words: &str| at < PROSE.find(words).unwrap();
        assert!(is_before(found[0].1, "it in") && is_before(found[1].1, "the queen"), "{found:?}");
    }

    #[test]
    fn what_may_still_become_something_else_is_waited_for() {
        for (text, none_before) in [
            ("The key `a. B` is long enough here. And it is told at last.", "And"),
            ("It survived the frost of May. [1] and so on it went.\n\nThat was the winter.", "That"),
            ("| hive | honey, kg |\n|---|---|\n| east | 12 kilos of it |\n\nSo it is told at last.", "So"),
            ("\"I wrapped it in wool then.\nAnd I fed it all winter long.\"\n\nSo it is told at last.", "So"),
            ("Run this command:\n```\nmake honey now. And wax.\n\nmake wax\n```\n\nThen it is told at last.", "Then"),
        ] {
            let first = told(text, 1).into_iter().next().unwrap_or_else(|| panic!("nothing is told of {text:?}"));
            assert!(first.1 >= text.find(none_before).unwrap(), "{first:?} of {text:?}");
        }
    }

    #[test]
    fn items_of_a_list_are_told_as_they_end_and_headings_are_nothing() {
        let text = "# What I do in winter\n\n- I wrap the hive in wool\n- I leave the colony honey\n- I wait";
        assert_eq!(texts(text, 3), ["I wrap the hive in wool", "I leave the colony honey"]);
    }

    #[test]
    fn what_is_told_is_the_beginning_of_what_the_whole_claims_however_it_comes() {
        let everything = "# The hive\r\n\r\nIt survived, e.g. the frost of May. Then it\nfroze again.\r\n\r\n1. First I wrap it\n2. Then \
            I feed it `2.5` kilos. So. It lives.\n\n> I never fed sugar. Nor honey.\n> Ever again.\n\n| a | b |\n|---|---|\n| east \
            hive | 12 |\n| west hive | 7 |\n\n川は山から海へ流れる。流れはとても速い。\n\n```sh\nmake honey\n\nmake wax\n```\nI wrapped \
            it in ``a ` b`` wool. It lived on. “All is well with the hive now.” I said so to Grace.\n\nThe end of it came late.";
        let whole: Vec<String> = claims(everything).into_iter().map(|claim| claim.text).collect();
        for piece in [1, 2, 3, 7, 50, 10_000] {
            let told = texts(everything, piece);
            assert_eq!(told, whole[..told.len()], "in pieces of {piece}");
            assert!(told.len() + 2 >= whole.len(), "in pieces of {piece}: {told:?}");
        }
    }

    #[test]
    fn a_paragraph_without_end_is_left_for_the_end() {
        let sentence = "I wrap the hive in wool and wait for spring. ";
        assert!(!Settled::default().next(&sentence.repeat(20)).is_empty());
        assert!(Settled::default().next(&sentence.repeat(LONGEST / 40)).is_empty());
    }
}
