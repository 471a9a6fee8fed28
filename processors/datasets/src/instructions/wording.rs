//! The words of instructions and questions in each language that there are some of, and a form without words for all
//! others. In each list at least one; `{title}`, `{subject}`, `{words}` and `{text}` are filled in.

mod dutch;
mod english;
mod french;
mod german;
mod italian;
mod plain;
mod portuguese;
mod spanish;

use twin_text::natural::Language;

/// The words of one language.
pub(crate) struct Wording {
    /// For a section by its heading.
    pub about_heading: &'static [&'static str],
    /// The same, with the title of the text.
    pub about_heading_in_title: &'static [&'static str],
    /// For a section whose heading says what it does and not what it is about.
    pub generic_part: &'static [&'static str],
    /// For the beginning of a text.
    pub about_title: &'static [&'static str],
    /// For a whole text.
    pub whole: &'static [&'static str],
    /// For a post with a title.
    pub post_of_title: &'static [&'static str],
    /// For a text by its words.
    pub about_words: &'static [&'static str],
    /// For a later part of a section.
    pub about_words_in: &'static [&'static str],
    /// For what follows a text.
    pub continuing: &'static [&'static str],
    /// For an answer to what somebody else has said.
    pub replying: &'static [&'static str],
    /// For a title of a text.
    pub titling: &'static [&'static str],
    /// For prose from notes.
    pub from_notes: &'static [&'static str],
    /// What a person would ask.
    pub questions: &'static [&'static str],
    /// What a person would ask who wants to do what a heading names ([`super::tasks`]); none where headings are not
    /// known to be tasks.
    pub how: &'static [&'static str],
    /// A subject and some of what is said of it.
    pub in_particular: &'static str,
    /// Before the last of several words.
    pub and: &'static str,
    /// Headings that say what a part does and not what it is about, in lower case.
    pub generic: &'static [&'static str],
    /// First words of a question that lacks its mark, in lower case.
    pub interrogatives: &'static [&'static str],
    /// Verbs that a heading begins with which names a task, in lower case, with spaces between them.
    pub imperatives: &'static str,
}

/// The words for a text in a language; the form without words where the language has none here.
pub(crate) fn wording(language: Option<Language>) -> &'static Wording {
    match language {
        Some(Language::English) => &english::WORDING,
        Some(Language::German) => &german::WORDING,
        Some(Language::French) => &french::WORDING,
        Some(Language::Spanish) => &spanish::WORDING,
        Some(Language::Italian) => &italian::WORDING,
        Some(Language::Portuguese) => &portuguese::WORDING,
        Some(Language::Dutch) => &dutch::WORDING,
        None => &plain::WORDING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_every_form_and_each_is_filled_in_where_it_should_be() {
        for language in Language::ALL.map(Some).into_iter().chain([None]) {
            let w = wording(language);
            let forms: [(&[&str], &[&str]); 13] = [
                (w.about_heading, &["{subject}"]),
                (w.about_heading_in_title, &["{subject}", "{title}"]),
                (w.generic_part, &["{subject}", "{title}"]),
                (w.about_title, &["{title}"]),
                (w.whole, &["{title}"]),
                (w.post_of_title, &["{title}"]),
                (w.about_words, &["{words}"]),
                (w.about_words_in, &["{subject}", "{words}"]),
                (w.continuing, &["{text}"]),
                (w.replying, &["{text}"]),
                (w.titling, &["{text}"]),
                (w.from_notes, &["{text}"]),
                (w.questions, &["{subject}"]),
            ];
            for (templates, wanted) in forms {
                assert!(!templates.is_empty() && w.in_particular.contains("{words}"), "{language:?}");
                for template in templates {
                    assert!(wanted.iter().all(|place| template.contains(place)), "{language:?}: {template}");
                    assert_eq!(template.matches('{').count(), wanted.len(), "{language:?}: {template}");
                }
            }
            assert!(w.how.iter().all(|template| template.matches("{subject}").count() == 1), "{language:?}");
            assert_eq!(w.how.is_empty(), w.imperatives.is_empty(), "{language:?}");
            assert_eq!(w.imperatives, w.imperatives.to_lowercase(), "{language:?}");
            assert!(w.generic.iter().chain(w.interrogatives).all(|word| *word == word.to_lowercase()), "{language:?}");
        }
    }
}
