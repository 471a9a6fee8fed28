//! Texts without their topics: text distortion (Stamatatos 2017, "Authorship Attribution Using Text Distortion", section 3).
//!
//! What a text is about is said by its rarer words, and how its author writes by the common ones, by punctuation, and by the
//! shapes of the rest. So the function words of a language stay, and of every other word the shape alone: each capital becomes
//! `X`, each other letter `x`, each digit `0` (the paper's DV-MA, with capitals kept apart, which are a habit too).
//!
//! Code has keywords in place of function words. Its names keep their shape, `snake_case` or `camelCase`, and its lines their
//! indentation.

use std::collections::HashSet;
use std::sync::LazyLock;

use twin_text::quotation_marks::plain;

/// Whose function words stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Prose in English.
    English,
    /// Prose in German.
    German,
    /// Prose in French.
    French,
    /// Prose in Spanish.
    Spanish,
    /// Code, in whatever programming language.
    Code,
}

/// Of the words of a text in a language, the share that are its function words is above this. In English prose about half
/// are.
const LEAST_SHARE: f64 = 0.25;

const ENGLISH: &str = include_str!("function_words/english.txt");
const GERMAN: &str = include_str!("function_words/german.txt");
const FRENCH: &str = include_str!("function_words/french.txt");
const SPANISH: &str = include_str!("function_words/spanish.txt");
const KEYWORDS: &str = include_str!("function_words/keywords.txt");

static LISTS: LazyLock<[HashSet<&'static str>; 5]> =
    LazyLock::new(|| [ENGLISH, GERMAN, FRENCH, SPANISH, KEYWORDS].map(|list| list.split_whitespace().collect()));

impl Language {
    /// The languages of prose whose function words are known.
    pub const OF_PROSE: [Self; 4] = [Self::English, Self::German, Self::French, Self::Spanish];

    /// The language of prose that most words of the texts are function words of; none if it is another one.
    pub fn of_prose<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let (mut total, mut known) = (0usize, [0usize; Self::OF_PROSE.len()]);
        for piece in texts.into_iter().flat_map(pieces).filter(|piece| piece.is_word) {
            total += 1;
            let word = lowered(piece.text);
            for (count, language) in known.iter_mut().zip(Self::OF_PROSE) {
                *count += usize::from(language.keeps(&word));
            }
        }
        let best = Self::OF_PROSE.into_iter().zip(known).max_by_key(|(_, count)| *count);
        best.filter(|(_, count)| *count as f64 > LEAST_SHARE * total as f64).map(|(language, _)| language)
    }

    /// Whether a word, in lower case, is one that stays.
    fn keeps(self, word: &str) -> bool {
        LISTS[self as usize].contains(word)
    }
}

/// A text without its topic, and the words that stay, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Masked {
    pub(super) text: String,
    pub(super) kept: Vec<String>,
}

impl Masked {
    pub(super) fn of(text: &str, language: Language) -> Self {
        let (mut masked, mut kept) = (String::with_capacity(text.len()), Vec::new());
        // In words as between them: which apostrophe stands in `don't` is the editor's, too.
        let typed = |character: char| if language == Language::Code { character } else { plain(character) };
        for piece in pieces(text) {
            if !piece.is_word {
                masked.extend(spaced(piece.text, language));
                continue;
            }
            let word = lowered(piece.text);
            if language.keeps(&word) {
                masked.extend(piece.text.chars().map(typed));
                kept.push(word);
            } else {
                masked.extend(piece.text.chars().map(typed).map(shape));
            }
        }
        Self { text: masked, kept }
    }
}

/// A word, or what stands between two.
struct Piece<'a> {
    text: &'a str,
    is_word: bool,
}

/// The text in pieces: runs of letters and digits with apostrophes between them, and the rest.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let is_word = first.is_alphanumeric();
        let mut end = 0;
        let mut characters = rest.char_indices().peekable();
        while let Some((_, character)) = characters.next() {
            let next = characters.peek();
            let joins = is_word
                && matches!(character, '\'' | '\u{2019}')
                && next.is_some_and(|(_, next)| next.is_alphanumeric());
            if character.is_alphanumeric() != is_word && !joins {
                break;
            }
            end = next.map_or(rest.len(), |(index, _)| *index);
        }
        let (text, after) = rest.split_at(end);
        rest = after;
        Some(Piece { text, is_word })
    })
}

fn lowered(word: &str) -> String {
    word.replace('\u{2019}', "'").to_lowercase()
}

/// Between words of prose a run of white space is one space, and typographic marks are what a keyboard has: an editor's habit,
/// not an author's. Code keeps what it has.
fn spaced(between: &str, language: Language) -> Vec<char> {
    if language == Language::Code {
        return between.chars().collect();
    }
    let mut characters: Vec<char> = Vec::with_capacity(between.len());
    for character in between.chars() {
        match character {
            space if space.is_whitespace() => {
                if characters.last() != Some(&' ') {
                    characters.push(' ');
                }
            }
            '\u{2014}' | '\u{2013}' => characters.extend(['-', '-']),
            other => characters.push(plain(other)),
        }
    }
    characters
}

fn shape(character: char) -> char {
    match character {
        digit if digit.is_numeric() => '0',
        letter if letter.is_uppercase() => 'X',
        letter if letter.is_alphabetic() => 'x',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_words_and_punctuation_stay_and_of_other_words_the_shape() {
        let masked = Masked::of("I don\u{2019}t know\n what Rust 2024 is\u{2014}yet.", Language::English);
        assert_eq!(masked.text, "I don't xxxx what Xxxx 0000 is--yet.");
        assert_eq!(masked.kept, ["i", "don't", "what", "is", "yet"]);
    }

    #[test]
    fn nobody_is_known_by_the_apostrophes_of_an_editor() {
        let typed = "It isn't Ada's and they'd say 'no', she wouldn't.";
        let set = typed.replace('\'', "\u{2019}");
        assert_eq!(Masked::of(&set, Language::English), Masked::of(typed, Language::English));
        let code = "// don\u{2019}t\nlet n = 1;";
        assert!(Masked::of(code, Language::Code).text.contains('\u{2019}'), "code is what it is, byte for byte");
    }

    #[test]
    fn code_keeps_its_keywords_its_indentation_and_the_shape_of_its_names() {
        let masked = Masked::of("fn open_file(pathName: &str) {\n    let n = 10;\n}", Language::Code);
        assert_eq!(masked.text, "fn xxxx_xxxx(xxxxXxxx: &str) {\n    let x = 00;\n}");
    }

    #[test]
    fn the_language_of_prose_is_told_by_its_function_words() {
        let of = |text| Language::of_prose([text]);
        assert_eq!(of("I walked there on Sunday and they had put a fence across it."), Some(Language::English));
        assert_eq!(of("Ich ging am Sonntag dorthin, und man hatte einen Zaun gebaut."), Some(Language::German));
        assert_eq!(
            of("Je suis all\u{e9} l\u{e0}-bas dimanche et ils avaient mis une barri\u{e8}re."),
            Some(Language::French)
        );
        assert_eq!(of("Fui all\u{ed} el domingo y hab\u{ed}an puesto una valla."), Some(Language::Spanish));
        assert_eq!(of("fn main() { println!(\"{}\", x); }"), None);
        assert_eq!(of(""), None);
    }
}
