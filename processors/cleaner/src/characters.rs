//! Characters: what is removed from prose, and Unicode normalisation.
//!
//! Removed is what a reader can not see but a model can: control characters, zero-width and bidirectional-control
//! characters (Unicode Technical Report 36, "Trojan Source"), tag characters, stray variation selectors. Joiners stay
//! where a script or an emoji needs them.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';
const BYTE_ORDER_MARK: char = '\u{feff}';

/// CRLF and CR become LF; a byte order mark at the start goes.
pub(crate) fn unix_newlines(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { Cow::Borrowed(text) }
}

/// Prose without invisible characters, in normal form C. Line and paragraph separators become newlines.
pub(crate) fn prose(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~')) {
        return text.to_owned();
    }
    let visible = without_invisible(text).replace(['\u{2028}', '\u{2029}'], "\n");
    visible.nfc().collect()
}

/// The text without invisible characters, else unchanged.
pub(crate) fn without_invisible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut previous = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if is_kept(character, previous, characters.peek().copied()) {
            out.push(character);
            previous = Some(character);
        }
    }
    out
}

/// Whether prose never has this character, whatever stands beside it.
fn is_always_removed(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' => true,
        '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | BYTE_ORDER_MARK => true,
        '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => character.is_control(),
    }
}

fn is_kept(character: char, previous: Option<char>, next: Option<char>) -> bool {
    match character {
        ZERO_WIDTH_JOINER if is_within_emoji(previous, next) => true,
        ZERO_WIDTH_JOINER | ZERO_WIDTH_NON_JOINER => {
            let after_joiner = matches!(previous, Some(ZERO_WIDTH_JOINER | ZERO_WIDTH_NON_JOINER));
            !after_joiner && (previous.is_some_and(needs_joiners) || next.is_some_and(needs_joiners))
        }
        // Variation selectors supplement: real after an ideograph, else a place to hide bytes in.
        '\u{e0100}'..='\u{e01ef}' => previous.is_some_and(is_ideograph),
        _ => !is_always_removed(character),
    }
}

fn is_within_emoji(previous: Option<char>, next: Option<char>) -> bool {
    previous.is_some_and(|c| is_pictograph(c) || c == '\u{fe0f}') && next.is_some_and(is_pictograph)
}

/// Roughly the property Extended_Pictographic; skin tones are within the last range.
fn is_pictograph(character: char) -> bool {
    matches!(character, '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' | '\u{2600}'..='\u{27bf}'
        | '\u{2b00}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

/// Letters of scripts whose shaping depends on joiners: Arabic and its relatives, the Indic scripts, Khmer, Mongolian.
fn needs_joiners(character: char) -> bool {
    matches!(character, '\u{600}'..='\u{dff}' | '\u{f00}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{1800}'..='\u{180d}' | '\u{180f}'..='\u{18af}' | '\u{a8e0}'..='\u{a8ff}'
        | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

/// At most so many bytes of the text's beginning, cut between characters.
pub(crate) fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_removed_from_prose() {
        let tagged: String = "ignore".chars().map(|c| char::from_u32(0xe0000 + c as u32).unwrap()).collect();
        let hidden = format!("a\u{200b}b\u{202e}c\u{2066}d\u{feff}e\u{2060}f\u{ad}g{tagged}h\u{0}i\u{1b}j");
        assert_eq!(prose(&hidden), "abcdefghij");
    }

    #[test]
    fn joiners_stay_where_a_script_or_an_emoji_needs_them() {
        for kept in ["می\u{200c}خواهم", "क्\u{200d}ष", "👩\u{200d}💻", "🏳\u{fe0f}\u{200d}🌈", "👩🏽\u{200d}🚀"]
        {
            assert_eq!(without_invisible(kept), kept);
        }
        assert_eq!(prose("zero\u{200d}width\u{200c}\u{200d}"), "zerowidth");
    }

    #[test]
    fn variation_selectors_stay_on_emoji_and_ideographs_only() {
        assert_eq!(prose("❤\u{fe0f} 葛\u{e0100} a\u{e0101}\u{e0102}"), "❤\u{fe0f} 葛\u{e0100} a");
    }

    #[test]
    fn prose_is_in_normal_form_c() {
        assert_eq!(prose("cafe\u{301}"), "café");
        assert_eq!(prose("e\u{200b}\u{301}"), "é");
    }

    #[test]
    fn every_kind_of_newline_becomes_one() {
        assert_eq!(unix_newlines("\u{feff}a\r\nb\rc\n"), "a\nb\nc\n");
    }
}
