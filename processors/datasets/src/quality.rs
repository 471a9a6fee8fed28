//! Which passages are worth learning.

mod boilerplate;
mod language;
mod personal;
mod secrets;

use twin_schemas::Refusal;

use crate::Options;
use crate::styled::shown;

pub(crate) use boilerplate::is_generated;

/// What is known of a passage besides its text.
pub(crate) struct Judged<'a> {
    /// The passage.
    pub text: &'a str,
    /// What else of the document stands in its samples: title, headings, instruction.
    pub beside: &'a [&'a str],
    /// Whether its document is written to be read, and no code.
    pub is_prose: bool,
    /// The document's language.
    pub language: Option<&'a str>,
}

/// Why a passage is not to be learned; none if it is.
pub(crate) fn refused(passage: &Judged<'_>, options: &Options) -> Option<Refusal> {
    let Judged { text, beside, is_prose, language } = *passage;
    // A number in bold digits is a number.
    let (text, beside) = (&*shown(text), beside.iter().map(|text| shown(text)).collect::<Vec<_>>());
    let texts = || std::iter::once(text).chain(beside.iter().map(|text| &**text));
    if texts().any(secrets::holds_secret) {
        return Some(Refusal::Secret);
    }
    if texts().any(personal::holds_personal_data) {
        return Some(Refusal::PersonalData);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_in_styled_letters_is_judged_by_the_letters_they_show() {
        let judged = |text: &str, language| {
            let judged = Judged { text, beside: &[], is_prose: true, language: Some(language) };
            refused(&judged, &Options::default())
        };
        assert_eq!(judged("𝗖𝗮𝗹𝗹 𝗺𝗲 𝗮𝘁 +𝟰𝟵 𝟯𝟬 𝟵𝟬𝟭𝟴𝟮𝟬 𝟭𝟮, 𝗮𝗻𝘆 𝗱𝗮𝘆.", "eng"), Some(Refusal::PersonalData));
        let english = "𝗧𝗵𝗲 𝗿𝗶𝘃𝗲𝗿 𝗶𝘀 𝗻𝗼𝘁 𝘁𝗵𝗲 𝘀𝗮𝗺𝗲, 𝗮𝗻𝗱 𝘄𝗲 𝗮𝗿𝗲 𝗻𝗼𝘁 𝘁𝗵𝗲 𝘀𝗮𝗺𝗲 𝗲𝗶𝘁𝗵𝗲𝗿, 𝘄𝗵𝗲𝗻 𝘄𝗲 𝗴𝗼 𝗯𝗮𝗰𝗸 𝘁𝗼 𝗶𝘁𝘀 𝗯𝗮𝗻𝗸 𝗶𝗻 𝘁𝗵𝗲 𝗲𝘃𝗲𝗻𝗶𝗻𝗴 𝗮𝗻𝗱 𝗹𝗼𝗼𝗸 𝗶𝗻𝘁𝗼 \
                       𝘁𝗵𝗲 𝘄𝗮𝘁𝗲𝗿 𝘁𝗵𝗮𝘁 𝗵𝗮𝘀 𝗯𝗲𝗰𝗼𝗺𝗲 𝗮𝗻𝗼𝘁𝗵𝗲𝗿 𝗼𝗻𝗲 𝗺𝗲𝗮𝗻𝘄𝗵𝗶𝗹𝗲.";
        assert_eq!((judged(english, "eng"), judged(english, "deu")), (None, Some(Refusal::Foreign)));
    }
}
