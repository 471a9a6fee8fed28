//! Whether an answer keeps to the passages that it was given: quotations, citations, refusals.

pub use twin_llm::quotations::quotations;
use twin_llm::quotations::{Originals, normalised};
use twin_llm::{ABSTENTIONS, cited_markers};
use twin_text::code_marks::without_code;

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

/// The quotations of three words or more that are in none of the passages, see [`twin_llm::quotations::Originals`].
pub fn invented_quotations(answer: &str, passages: &[String]) -> Vec<String> {
    let originals = Originals::new(passages.iter().map(String::as_str));
    twin_llm::quotations::invented(answer, &originals, SHORTEST_QUOTE)
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
