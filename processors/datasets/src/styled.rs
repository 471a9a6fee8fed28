//! Letters that are drawn otherwise than they are meant: mathematical bold, script and double-struck letters, letters in
//! circles, and letters of full width, as posts have them for headings. They count as the letters that they show.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// The text with styled letters and digits as the plain ones that they show (Unicode's compatibility decomposition, NFKC,
/// of those characters alone: of others it would change what they mean).
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_styled) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if is_styled(character) {
            plain.extend(std::iter::once(character).nfkc());
        } else {
            plain.push(character);
        }
    }
    Cow::Owned(plain)
}

/// Letterlike symbols, enclosed and full-width alphanumerics, and mathematical alphanumeric symbols.
fn is_styled(character: char) -> bool {
    let stands_for_a_letter = matches!(character, '\u{2102}' | '\u{210a}'..='\u{2115}' | '\u{2119}'..='\u{211d}' | '\u{2124}'
        | '\u{2128}' | '\u{212c}'..='\u{2134}' | '\u{2145}'..='\u{2149}' | '\u{1f130}'..='\u{1f149}');
    let is_alphanumeric = matches!(character, '\u{24b6}'..='\u{24e9}' | '\u{ff10}'..='\u{ff19}' | '\u{ff21}'..='\u{ff3a}'
        | '\u{ff41}'..='\u{ff5a}' | '\u{1d400}'..='\u{1d7ff}');
    stands_for_a_letter || is_alphanumeric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styled_letters_are_the_letters_they_show_and_all_else_stays() {
        assert_eq!(shown("𝗧𝗵𝗿𝗲𝗲 𝑟𝑢𝑙𝑒𝑠, 𝟮𝟬 ℝ 🄰 Ⓑ Ｃ"), "Three rules, 20 R A B C");
        for plain in ["Three rules", "ﬁne ½ x² ™ № ①", "日本語", "é 👩🏽‍🚀 🇩🇪"] {
            assert!(matches!(shown(plain), Cow::Borrowed(_)), "{plain}");
        }
    }
}
