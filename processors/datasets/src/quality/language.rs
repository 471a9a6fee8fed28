//! The language of a passage of prose.

use twin_schemas::Refusal;

/// Letters below which a language is guessed and not told.
const LEAST_LETTERS: usize = 100;

/// Refuses a passage in another language than its document, or than those asked for. A passage whose language can not
/// be told counts as in its document's; one whose document's language is not known either, passes.
pub(super) fn refused(text: &str, document: Option<&str>, wanted: &[String]) -> Option<Refusal> {
    let told = told(text);
    if let (Some(told), Some(document)) = (told, document)
        && told != document
    {
        return Some(Refusal::Foreign);
    }
    let language = told.or(document)?;
    let is_wanted = wanted.is_empty() || wanted.iter().any(|wanted| wanted == language);
    (!is_wanted).then_some(Refusal::Language)
}

fn told(text: &str) -> Option<&'static str> {
    if text.chars().filter(|c| c.is_alphabetic()).count() < LEAST_LETTERS {
        return None;
    }
    whatlang::detect(text).filter(whatlang::Info::is_reliable).map(|info| info.lang().code())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GERMAN: &str = "Der Fluss ist nicht derselbe, und auch wir sind nicht mehr dieselben, wenn wir am Abend noch \
        einmal an sein Ufer gehen und in das Wasser sehen, das inzwischen ein anderes geworden ist.";

    #[test]
    fn a_passage_in_another_language_than_its_document_is_foreign() {
        assert_eq!(refused(GERMAN, Some("eng"), &[]), Some(Refusal::Foreign));
        assert_eq!(refused(GERMAN, Some("deu"), &[]), None);
        assert_eq!(refused(GERMAN, None, &["eng".to_owned()]), Some(Refusal::Language));
        assert_eq!(refused("Kurz.", Some("eng"), &[]), None);
    }
}
