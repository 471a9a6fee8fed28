//! The quality gate: prose that is not worth searching.
//!
//! A wall in front of a page is short, and its wording is from a small stock of phrases. So a text is rejected when it
//! is short and a good share of it is such wording; a long text about such walls passes, and so does a short post
//! that merely quotes one.

use crate::html::Page;
use crate::walls::{WALLS, Wall};
use crate::{Rejection, RejectionKind};

/// Share of characters that may be unreadable.
const MAX_UNREADABLE_SHARE: f64 = 0.2;

/// A page whose title, fields or scripts say that it is a wall needs less of the wording.
const SHARE_WITH_EVIDENCE: f64 = 0.08;

/// Where a text comes from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// A whole page, which may be something else than what was asked for.
    Page(&'a Page),
    /// HTML from a feed or an export.
    Fragment,
    /// Markdown or plain text.
    Text,
}

/// Rejects bytes that were read in the wrong encoding, or are no text at all.
pub(crate) fn require_text(content: &str) -> Result<(), Rejection> {
    let is_unreadable = |c: char| c == '\u{fffd}' || (c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}'));
    let (mut unreadable, mut all) = (0_usize, 0_usize);
    for character in content.chars() {
        all += 1;
        unreadable += usize::from(is_unreadable(character));
    }
    if unreadable as f64 > all as f64 * MAX_UNREADABLE_SHARE {
        let detail = format!("{unreadable} of {all} characters are replacement or control characters");
        return Err(Rejection::new(RejectionKind::NotText, detail));
    }
    Ok(())
}

/// Rejects walls, and texts with too few words.
pub(crate) fn judge(text: &str, source: Source<'_>, min_words: usize) -> Result<(), Rejection> {
    let words = word_count(text);
    for wall in &WALLS {
        if words <= wall.max_words && is_wall(wall, text, source) {
            return Err(rejection(wall, "the text is little else than its wording"));
        }
    }
    if words >= min_words {
        return Ok(());
    }
    // The wall itself may be what was removed: a form, a dialogue.
    if let Source::Page(page) = source {
        for wall in &WALLS {
            let is_short = word_count(&page.visible_text) <= wall.max_words;
            if is_short && is_wall(wall, &page.visible_text, source) {
                return Err(rejection(wall, "there is no text besides it"));
            }
        }
    }
    Err(Rejection::new(RejectionKind::Empty, format!("{words} words, at least {min_words} are needed")))
}

fn rejection(wall: &Wall, detail: &str) -> Rejection {
    Rejection::new(wall.kind, detail)
}

fn is_wall(wall: &Wall, text: &str, source: Source<'_>) -> bool {
    let wording = Wording::of(text, wall.phrases);
    match source {
        Source::Page(page) => {
            let has_title = has_title(wall, &page.title);
            let has_evidence = has_title || has_elements(wall.kind, page);
            let is_bare = has_title && wording.words < 15;
            is_bare || wording.reaches(wall.page_share) || (has_evidence && wording.reaches(SHARE_WITH_EVIDENCE))
        }
        Source::Fragment if wall.kind == RejectionKind::Paywall => wording.reaches(wall.page_share),
        Source::Fragment | Source::Text => wording.reaches(wall.text_share),
    }
}

/// A page's title names the wall first, or with the site's name before it.
fn has_title(wall: &Wall, title: &str) -> bool {
    let parts = title.split(['|', '-', '–', '—', '·', ':']);
    let mut parts = parts.map(|part| normalise(part).join(" "));
    parts.any(|part| {
        wall.titles.iter().any(|wording| part.split_once(wording).is_some_and(|(before, _)| before.is_empty()))
    })
}

fn has_elements(kind: RejectionKind, page: &Page) -> bool {
    match kind {
        RejectionKind::Challenge => page.has_challenge,
        RejectionKind::Login => page.has_password_field,
        _ => false,
    }
}

/// How much of a text is the wording of a wall.
struct Wording {
    words: usize,
    covered: usize,
}

impl Wording {
    fn of(text: &str, phrases: &[&str]) -> Self {
        let words = normalise(text);
        let mut covered = vec![false; words.len()];
        for phrase in phrases {
            let phrase: Vec<&str> = phrase.split(' ').collect();
            for (start, window) in words.windows(phrase.len()).enumerate() {
                if window.iter().zip(&phrase).all(|(word, expected)| word == expected) {
                    covered[start..start + phrase.len()].fill(true);
                }
            }
        }
        Self { words: words.len(), covered: covered.into_iter().filter(|covered| *covered).count() }
    }

    /// Whether at least this share of the words, and at least one, is wording.
    fn reaches(&self, share: f64) -> bool {
        self.covered > 0 && self.covered as f64 >= share * self.words as f64
    }
}

/// Lower-case words without punctuation; apostrophes join.
fn normalise(text: &str) -> Vec<String> {
    let joined = text.replace(['\'', '’'], "").to_lowercase();
    joined.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Words; in scripts that are written without spaces, characters.
fn word_count(text: &str) -> usize {
    let mut count = 0;
    let mut in_word = false;
    for character in text.chars() {
        let stands_alone = matches!(character, '\u{e00}'..='\u{eff}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
            | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}');
        let is_word = character.is_alphanumeric() || is_pictograph(character);
        count += usize::from(stands_alone || (is_word && !in_word));
        in_word = is_word && !stands_alone;
    }
    count
}

/// A post may be a single emoji.
fn is_pictograph(character: char) -> bool {
    matches!(character, '\u{2600}'..='\u{27bf}' | '\u{1f300}'..='\u{1faff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str, source: Source<'_>) -> Option<RejectionKind> {
        judge(text, source, 1).err().map(|rejection| rejection.kind)
    }

    #[test]
    fn short_texts_of_wall_wording_are_rejected_wherever_they_come_from() {
        for (text, expected) in [
            ("Just a moment...\n\nEnable JavaScript and cookies to continue", RejectionKind::Challenge),
            ("Sign in to continue. Log in or create an account. Forgot password?", RejectionKind::Login),
            ("We use cookies. Accept all. Reject all. Manage preferences.", RejectionKind::Consent),
            ("Wir verwenden Cookies. Alle akzeptieren. Alle ablehnen.", RejectionKind::Consent),
        ] {
            for source in [Source::Text, Source::Fragment, Source::Page(&Page::default())] {
                assert_eq!(kind(text, source), Some(expected), "{text}");
            }
        }
    }

    #[test]
    fn a_short_post_that_quotes_a_wall_passes() {
        let post = "\"Verify you are human\" is the most common sentence of my day. I counted them last week: \
            forty-one, nearly all of them on sites that I pay for.";
        assert_eq!(kind(post, Source::Text), None);
        assert_eq!(kind("Just a moment of peace on the train this morning.", Source::Text), None);
    }

    #[test]
    fn words_are_counted_in_every_script() {
        for (text, expected) in
            [("one two-three", 3), ("", 0), ("--- !!", 0), ("日本語です", 5), ("🎉", 1), ("سلام دنیا", 2)]
        {
            assert_eq!(word_count(text), expected, "{text}");
        }
    }

    #[test]
    fn binary_is_not_text_and_a_stray_replacement_character_is() {
        assert!(require_text("a\u{fffd}\u{fffd}b").is_err());
        assert!(require_text("a long enough text with one \u{fffd} in it\r\n\t").is_ok());
        assert!(require_text("").is_ok());
    }
}
