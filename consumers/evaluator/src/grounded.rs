//! Whether an answer keeps to the passages that it was given: quotations, citations, refusals.

use twin_llm::{ABSTENTIONS, cited_markers, quoted};
use twin_text::words::words;

/// A quotation of fewer words may be a title, a term or irony; it is not looked up.
const SHORTEST_QUOTE: usize = 3;

/// By which an answer says that it does not know (English). Authors who write in another language add theirs.
pub const REFUSAL_PHRASES: [&str; 18] = [
    "i don't know",
    "i do not know",
    "i'm not sure",
    "i am not sure",
    "i can't answer",
    "i cannot answer",
    "i can not answer",
    "i don't have information",
    "i don't have any information",
    "i do not have information",
    "i have not written",
    "i haven't written",
    "nothing i have published",
    "passages do not",
    "passages don't",
    "not mentioned in the passages",
    "no information about",
    "no information on",
];

/// The quotations in a text: what stands between `"…"`, `“…”`, `„…“` or `«…»` within one paragraph, white space
/// normalised. A mark that is never closed opens nothing: the answer may have been cut off there. A string literal in
/// code is no quotation, but a quotation may hold code.
pub fn quotations(text: &str) -> Vec<String> {
    let prose = without_fences(text);
    prose.split("\n\n").flat_map(quotations_of_paragraph).collect()
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
                open = closing_marks(character).filter(|_| can_open).map(|closing| (closing, String::new()));
            }
        }
        previous = character;
    }
    found
}

fn closing_marks(opening: char) -> Option<&'static [char]> {
    match opening {
        '"' => Some(&['"']),
        '\u{201c}' => Some(&['\u{201d}']),
        '\u{201e}' => Some(&['\u{201c}', '\u{201d}']),
        '\u{ab}' => Some(&['\u{bb}']),
        _ => None,
    }
}

/// The quotations of three words or more that are in none of the passages.
///
/// A quotation is in a passage if it is a part of it after white space and apostrophes are normalised, the final
/// punctuation left out (it is often the quoter's), and each side of an omission (`…`, `...`, `[...]`) for itself. The
/// passage is read both as the author wrote it and as the prompt shows it ([`twin_llm::quoted`]).
pub fn invented_quotations(answer: &str, passages: &[String]) -> Vec<String> {
    let passages: Vec<String> =
        passages.iter().flat_map(|passage| [normalised(passage), normalised(&quoted(passage))]).collect();
    let is_found = |part: &str| passages.iter().any(|passage| passage.contains(part));
    let is_invented =
        |quote: &String| words(quote).len() >= SHORTEST_QUOTE && !parts(quote).iter().all(|p| is_found(p));
    quotations(answer).into_iter().filter(is_invented).collect()
}

/// What is left of a quotation between omissions.
fn parts(quote: &str) -> Vec<String> {
    let marked = quote.replace("[...]", "\u{2026}").replace("[\u{2026}]", "\u{2026}").replace("...", "\u{2026}");
    let is_edge = |c: char| c.is_whitespace() || matches!(c, '.' | ',' | ';' | ':' | '!' | '?');
    let part = |part: &str| part.trim_end_matches(is_edge).trim_start().to_owned();
    marked.split('\u{2026}').map(part).filter(|part| !part.is_empty()).collect()
}

/// What an answer cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citations {
    /// Markers of given passages, ascending, from 1.
    pub given: Vec<u32>,
    /// It has a marker of a passage that was not given.
    pub has_unknown: bool,
}

impl Citations {
    /// The citations of an answer that was given `count` passages; markers in code are none.
    pub fn of(answer: &str, count: usize) -> Self {
        let prose = without_code(answer);
        let given = cited_markers(&prose, count);
        let has_unknown = markers(&prose).any(|marker| marker == 0 || marker > count);
        Self { given, has_unknown }
    }

    /// At least one passage is cited, and none that was not given.
    pub fn are_valid(&self) -> bool {
        !self.given.is_empty() && !self.has_unknown
    }

    /// The passage at `index` (from 0) is cited.
    pub fn name(&self, index: usize) -> bool {
        self.given.iter().any(|marker| *marker as usize == index + 1)
    }
}

/// The numbers of all `[number]` in a text.
fn markers(text: &str) -> impl Iterator<Item = usize> {
    text.split('[').skip(1).filter_map(|rest| {
        let (number, _) = rest.split_once(']')?;
        let is_number = !number.is_empty() && number.len() <= 4 && number.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { number.parse().ok() } else { None }
    })
}

/// Whether an answer says that it does not know: it holds one of [`ABSTENTIONS`], or one of the phrases while it cites none of
/// the `count` passages. "I don't know exactly, but in spring it rises `[1]`" is an answer.
pub fn refuses(answer: &str, count: usize, phrases: &[String]) -> bool {
    let text = normalised(answer);
    if ABSTENTIONS.iter().any(|(_, abstention)| text.contains(abstention)) {
        return true;
    }
    let text = text.to_lowercase();
    let says_so = phrases.iter().any(|phrase| text.contains(phrase.as_str()));
    says_so && Citations::of(answer, count).given.is_empty()
}

/// The text without code, fenced or between backticks. A backtick without a second one is a character like any other.
fn without_code(text: &str) -> String {
    let text = without_fences(text);
    let pieces: Vec<&str> = text.split('`').collect();
    let is_prose = |(index, _): &(usize, &&str)| index % 2 == 0 || index + 1 == pieces.len();
    pieces.iter().enumerate().filter(is_prose).map(|(_, piece)| *piece).collect::<Vec<_>>().join(" ")
}

fn without_fences(text: &str) -> String {
    text.split("```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// The text with one space for each run of white space, and one form for each kind of apostrophe.
fn normalised(text: &str) -> String {
    let text = text.replace(['\u{2018}', '\u{2019}'], "'");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
