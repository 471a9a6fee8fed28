//! Which passages are worth learning.

mod boilerplate;
mod language;
mod personal;
mod secrets;

use twin_schemas::{Category, Refusal};

use crate::Options;

pub(crate) use boilerplate::is_generated;

/// What is known of a passage besides its text.
pub(crate) struct Judged<'a> {
    /// The passage.
    pub text: &'a str,
    /// What else of the document stands in its samples: title, headings, instruction.
    pub beside: &'a [&'a str],
    /// What its document is.
    pub category: Category,
    /// The document's language.
    pub language: Option<&'a str>,
}

/// Why a passage is not to be learned; none if it is.
pub(crate) fn refused(passage: &Judged<'_>, options: &Options) -> Option<Refusal> {
    let Judged { text, beside, category, language } = *passage;
    let texts = || std::iter::once(text).chain(beside.iter().copied());
    if texts().any(secrets::holds_secret) {
        return Some(Refusal::Secret);
    }
    if texts().any(personal::holds_personal_data) {
        return Some(Refusal::PersonalData);
    }
    let is_prose = category != Category::Code;
    if boilerplate::is_boilerplate(text) {
        return Some(Refusal::Boilerplate);
    }
    if is_prose && boilerplate::is_mostly_links(text) {
        return Some(Refusal::Links);
    }
    if boilerplate::is_mostly_symbols(text, is_prose) {
        return Some(Refusal::Symbols);
    }
    is_prose.then(|| language::refused(text, language, &options.languages)).flatten()
}
