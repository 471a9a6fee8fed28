//! A form without words, for texts in a language of which none are known.

use super::Wording;

/// A form without words, for texts in a language of which none are known.
pub(super) const WORDING: Wording = Wording {
    about_heading: &["{subject}"],
    about_heading_in_title: &["{title}: {subject}"],
    generic_part: &["{title}: {subject}"],
    about_title: &["{title}"],
    whole: &["{title}"],
    post_of_title: &["{title}"],
    about_words: &["{words}"],
    about_words_in: &["{subject}: {words}"],
    continuing: &["{text} …"],
    replying: &["> {text}"],
    titling: &["{text}\n\n…?"],
    from_notes: &["{text}"],
    questions: &["{subject}?"],
    how: &[],
    in_particular: "{subject}: {words}",
    and: ", ",
    generic: &[],
    interrogatives: &[],
    imperatives: "",
};
