//! What an answer gives out as somebody's words, and whether a passage has these words.

use twin_text::code_marks::{blanked, fenced};
use twin_text::quotation_marks::{closing, plain};
use twin_text::words::words;

use crate::quote::quoted;

/// The quotations in a text: what stands between `"…"`, `“…”`, `„…“` or `«…»` within one paragraph, white space
/// normalised. A mark that is never closed opens nothing: the answer may have been cut off there. A string literal in
/// code is no quotation, but a quotation may hold code.
pub fn quotations(text: &str) -> Vec<String> {
    blanked(text, &fenced(text)).split("\n\n").flat_map(quotations_of_paragraph).collect()
}

fn quotations_of_paragraph(paragraph: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(&[char], String)> = None;
    let mut previous = ' ';
    let mut rest = paragraph.chars();
    while let Some(character) = rest.next() {
        match &mut open {
            Some((closing, quote)) if closing.contains(&character) => {
                found.push(normalised(quote));
                open = None;
            }
            Some((_, quote)) => quote.push(character),
            None if character == '`' => {
                if let Some((_, after)) = rest.as_str().split_once('`') {
                    rest = after.chars();
                }
            }
            None => {
                // A straight mark after a letter, or before a space, closes what was not opened here, or means inches.
                let follows = rest.clone().next().is_some_and(|next| !next.is_whitespace());
                let can_open = character != '"' || (!previous.is_alphanumeric() && follows);
                let marks = closing(character);
                open = (can_open && !marks.is_empty()).then(|| (marks, String::new()));
            }
        }
        previous = character;
    }
    found
}

/// The quotations of so many words or more that are in none of the passages. A shorter one may be a title, a term or irony;
/// it is not looked up.
pub fn invented(answer: &str, originals: &Originals, least_words: usize) -> Vec<String> {
    let is_invented = |quote: &String| words(quote).len() >= least_words && !originals.hold(quote);
    quotations(answer).into_iter().filter(is_invented).collect()
}

/// The texts that may be quoted, as quotations are compared with them: as the author wrote them, as the prompt shows them
/// ([`crate::quoted`]), and without the marks of quotations in them.
pub struct Originals(Vec<String>);

impl Originals {
    /// Of these texts.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let readings = |text: &str| [normalised(text), normalised(&quoted(text)), normalised(&without_marks(text))];
        Self(texts.into_iter().flat_map(readings).collect())
    }

    /// Whether a quotation is a part of one of them after white space and quotation marks are normalised, the final punctuation
    /// left out (it is often the quoter's), and each side of an omission (`…`, `...`, `[...]`) for itself.
    pub fn hold(&self, quotation: &str) -> bool {
        parts(&normalised(quotation)).iter().all(|part| self.0.iter().any(|text| text.contains(part)))
    }
}

/// A text whose lines do not begin with the marks of a quotation of Markdown (CommonMark 5.1) any more.
pub fn without_marks(text: &str) -> String {
    let is_mark = |character: char| character == '>' || character.is_whitespace();
    let unmarked = |line: &str| {
        if line.trim_start().starts_with('>') { line.trim_start_matches(is_mark) } else { line }.to_owned()
    };
    text.lines().map(unmarked).collect::<Vec<_>>().join("\n")
}

/// What is left of a quotation between omissions.
fn parts(quote: &str) -> Vec<String> {
    let marked = quote.replace("[...]", "\u{2026}").replace("[\u{2026}]", "\u{2026}").replace("...", "\u{2026}");
    let is_edge = |c: char| c.is_whitespace() || matches!(c, '.' | ',' | ';' | ':' | '!' | '?');
    let part = |part: &str| part.trim_end_matches(is_edge).trim_start().to_owned();
    marked.split('\u{2026}').map(part).filter(|part| !part.is_empty()).collect()
}

/// The text with one space for each run of white space, and one form for each kind of quotation mark and apostrophe.
pub fn normalised(text: &str) -> String {
    let text: String = text.chars().map(plain).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_of_a_passage_may_stand_in_other_marks_and_lines() {
        let passage = "> She said: “it\u{2019}s the\n> coldest winter of all”.\n\nNobody disagreed.";
        let originals = Originals::new([passage]);
        assert!(originals.hold("She said: \"it's the coldest winter of all\"."));
        assert!(originals.hold("She said … Nobody disagreed"));
        assert!(!originals.hold("it's the mildest winter of all"));
        assert_eq!(without_marks("> a\n>> b\nc > d"), "a\nb\nc > d");
    }
}
