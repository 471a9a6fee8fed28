//! How long a text is to be, in words and in tokens.

use twin_llm::estimated_tokens;
use twin_schemas::Category;
use twin_text::words::words;

/// Tokens that a word may have, whatever the language.
const TOKENS_OF_A_WORD: (f64, f64) = (1.2, 4.0);

/// Tokens of a word where nothing tells: those of English.
const USUAL: f64 = 1.5;

/// A text may be longer than was asked for: it is to end by itself, and the limit is there for one that does not.
const ROOM: f64 = 1.5;

/// Tokens beside the words: headings, markers, marks.
const BESIDE: u32 = 32;

/// Words of a text where the request does not say.
pub(crate) fn usual_words(category: Category) -> u32 {
    match category {
        Category::Article | Category::Code => 400,
        Category::Post => 120,
    }
}

/// Tokens for so many words in the language of a sample.
pub(crate) fn tokens_for(wanted: u32, sample: &str) -> u32 {
    let tokens = f64::from(wanted) * tokens_of_a_word(sample) * ROOM;
    // What is too large for the type saturates.
    (tokens.ceil() as u32).saturating_add(BESIDE)
}

/// Tokens of a word, about.
fn tokens_of_a_word(sample: &str) -> f64 {
    let words = words(sample).len();
    if words == 0 {
        return USUAL;
    }
    let (least, most) = TOKENS_OF_A_WORD;
    (estimated_tokens(sample) as f64 / words as f64).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_of_long_words_or_another_script_gets_more_tokens() {
        let of = |sample: &str| tokens_for(100, sample);
        let english = of("The hive survived the frost because I wrapped it in wool and left the colony honey.");
        let german = of("Das Bienenvolk überstand den Winterfrost, weil ich die Behausung mit Schafwolle umwickelte.");
        let russian = of("Улей пережил мороз, потому что я укутал его шерстью и оставил пчёлам мёд.");
        assert!((180..280).contains(&english), "{english}");
        assert!(german > english && russian > german, "{english} {german} {russian}");
        assert_eq!(of(""), 257);
        assert_eq!(of("\u{6771}\u{4eac}\u{90fd}"), 212, "each character is a word");
        assert_eq!(tokens_for(u32::MAX, ""), u32::MAX);
    }
}
