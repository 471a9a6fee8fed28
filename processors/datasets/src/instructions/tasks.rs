//! Headings that name a task: "Rename A Branch" is what somebody is told who asks "How do I rename a branch?".

use super::Wording;

/// What a heading tells how to do, as it stands within a sentence. None if its first word is no verb that is known.
pub(super) fn task(heading: &str, wording: &Wording) -> Option<String> {
    let heading = heading.trim().trim_end_matches('.');
    let words: Vec<&str> = heading.split_whitespace().collect();
    let verb = words.first()?.to_lowercase();
    if words.len() < 2 || !wording.imperatives.split(' ').any(|known| known == verb) {
        return None;
    }
    let starts_low = |word: &&&str| word.starts_with(char::is_lowercase);
    let count = |holds: &dyn Fn(&&&str) -> bool| words.iter().skip(1).filter(holds).count();
    let is_title_case = count(&|word| is_capitalised(word)) >= count(&starts_low);
    let rest = words[1..].iter().map(|word| match is_title_case && is_capitalised(word) && *word != "I" {
        true => word.to_lowercase(),
        false => (*word).to_owned(),
    });
    Some(std::iter::once(verb).chain(rest).collect::<Vec<_>>().join(" "))
}

/// Its first letter alone is a capital: not `JSON`, `GitHub`, `v2` or `--all`.
fn is_capitalised(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(char::is_uppercase) && chars.all(|c| !c.is_uppercase() && !c.is_numeric())
}

#[cfg(test)]
mod tests {
    use twin_text::natural::Language;

    use super::super::wording;
    use super::*;

    #[test]
    fn a_heading_that_begins_with_a_verb_is_a_task_and_names_stay_as_they_are() {
        let task = |heading| task(heading, wording(Some(Language::English)));
        assert_eq!(task("Rename A Branch").unwrap(), "rename a branch");
        assert_eq!(task("Parse JSON With The GitHub CLI").unwrap(), "parse JSON with the GitHub CLI");
        assert_eq!(task("Remove files that Rust left behind").unwrap(), "remove files that Rust left behind");
        for heading in ["Rivers", "The Black Hole Register", "Find", "", "Windows Functions"] {
            assert_eq!(task(heading), None, "{heading}");
        }
        assert_eq!(super::task("Rename A Branch", wording(Some(Language::German))), None);
    }
}
