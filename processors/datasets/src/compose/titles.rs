//! Samples that ask for the title of a text: the author's own, by which whoever reads knows what to expect.

use twin_schemas::AuthorId;

use super::{Sample, key, voice};
use crate::Options;
use crate::instructions::wording;
use crate::scratch::Known;
use crate::words::choice;

/// Share of the passages that are also given for their title.
pub(super) const SHARE: f64 = 0.05;

/// Characters of a title.
const CHARS: std::ops::RangeInclusive<usize> = 8..=120;

/// The passage's heading, or else its document's title, asked for by its text. None where it has none that says anything.
pub(super) fn sample(author: &AuthorId, options: &Options, known: &Known) -> Option<Sample> {
    let passage = &known.passage;
    if !known.is_prose() {
        return None;
    }
    let title = passage.heading_path.last().or(passage.title.as_ref())?.trim();
    let words = wording(known.language);
    let is_telling = CHARS.contains(&title.chars().count())
        && title.contains(char::is_whitespace)
        && !words.generic.contains(&title.to_lowercase().as_str());
    if !is_telling || passage.text.contains(title) {
        return None;
    }
    let number = choice(options.seed, &["titling", &key(known)]) % words.titling.len() as u64;
    let asked = words.titling[number as usize].replace("{text}", &passage.text);
    Some(Sample { measured: false, ..voice(author, &asked, title.to_owned(), true) })
}
