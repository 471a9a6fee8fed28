//! How much a text reads like the author.
//!
//! Two measures that fail in different ways: [`NgramProfile`] sees habits below the word (endings, punctuation,
//! contractions) and, because the same prompt is put to every model, topic cancels out; [`Delta`] sees how often the
//! commonest words are used, whatever the topic.
//!
//! Test answers are short (a paragraph), and short texts are hard: Burrows's Delta was made for thousands of words
//! (Eder 2015, "Does size matter?"). Three things make the measures sound here. They are averaged over all samples, and
//! the interval of the average is what is judged, never one text. A text is compared with the author's *other*
//! documents, so that repeating the source document does not count as style. And a text is read only to the length of
//! the author's own passage, because profiles of longer texts are denser and come nearer to anything.

mod delta;
mod ngrams;

pub use delta::Delta;
pub use ngrams::NgramProfile;

/// The beginning of `text`, as long as `reference`, in characters.
pub(crate) fn as_long_as<'a>(text: &'a str, reference: &str) -> &'a str {
    let limit = reference.chars().count();
    text.char_indices().nth(limit).map_or(text, |(end, _)| &text[..end])
}
