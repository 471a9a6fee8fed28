//! The marks that quotations stand between.

/// What closes a quotation that is opened by this mark, the usual one first; nothing where the mark opens none. These are
/// the marks that a prompt and a paragraph are read by: `"…"`, `“…”`, `„…“`, `«…»`.
pub fn closing(opening: char) -> &'static [char] {
    match opening {
        '"' => &['"'],
        '“' => &['”'],
        // German closes with the one, Polish with the other.
        '„' => &['“', '”'],
        '«' => &['»'],
        _ => &[],
    }
}

/// The same, with the marks that some write beside these: `»…«` in German and Danish, `「…」` and `『…』` in Japanese. Where it
/// is only asked what is quoted at all, one mark too many does less harm than one too few.
pub fn closing_of_any(opening: char) -> &'static [char] {
    match opening {
        '»' => &['«'],
        '「' => &['」'],
        '『' => &['』'],
        opening => closing(opening),
    }
}

/// Whether it is one of the marks of [`closing`], on either side.
pub fn is_mark(character: char) -> bool {
    matches!(character, '"' | '“' | '”' | '„' | '«' | '»')
}

/// A typographic quotation mark or apostrophe as a keyboard has it; every other character as it is. Those that point are no
/// habit of an editor, and stay.
pub fn plain(character: char) -> char {
    match character {
        '“' | '”' | '„' => '"',
        '‘' | '’' => '\'',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_that_opens_has_what_closes_it() {
        for (opening, marks) in [('"', "\""), ('“', "”"), ('„', "“”"), ('«', "»")] {
            assert_eq!(closing(opening).iter().collect::<String>(), marks, "{opening}");
            assert!(is_mark(opening) && closing(opening).iter().all(|mark| is_mark(*mark)), "{opening}");
            assert_eq!(closing_of_any(opening), closing(opening), "{opening}");
        }
        for (opening, mark) in [('»', '«'), ('「', '」'), ('『', '』')] {
            assert!(closing(opening).is_empty(), "{opening}");
            assert_eq!(closing_of_any(opening), [mark], "{opening}");
        }
        for other in ['”', '\'', '’', '」', 'a', ' '] {
            assert!(closing_of_any(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn a_typographic_mark_is_what_a_keyboard_has() {
        assert_eq!("„So“, “it’s” ‘so’ «oui» —".chars().map(plain).collect::<String>(), "\"So\", \"it's\" 'so' «oui» —");
    }
}
