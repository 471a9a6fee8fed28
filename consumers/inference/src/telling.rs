//! Which words tell what a question or a text is about.

use twin_text::natural::Language;
use twin_text::words::is_stop_word;

/// Whether a word, in lower case, tells what a question or text in this language is about. Where no language is told, it is
/// taken for English.
///
/// Of English the short list of stop words counts, which the index searches by: the longer one has names of what people ask
/// for, such as Go and Make.
pub(crate) fn is_telling(word: &str, language: Option<Language>) -> bool {
    match language {
        None | Some(Language::English) => !is_stop_word(word),
        Some(language) => !language.is_stop_word(word) && !asking(language).contains(&word),
    }
}

/// What an author is asked with for what the author knows and has written, beside the stop words.
fn asking(language: Language) -> &'static [&'static str] {
    match language {
        Language::English => &[],
        Language::German => {
            &["geschrieben", "hast", "sagst", "sagt", "schreibst", "schreibt", "schrieb", "weiß", "weißt", "wissen"]
        }
        Language::French => &["as", "dis", "dit", "écris", "écrit", "écrivez", "qu'as", "sais", "savoir"],
        Language::Spanish => &["dices", "dicho", "escribes", "escribiste", "escrito", "has", "sabes", "saber"],
        Language::Italian => &["bisogna", "detto", "dici", "sai", "sapere", "scritto", "scrivi"],
        Language::Portuguese => {
            &["dizes", "escreves", "escreveste", "escreveu", "escrito", "preciso", "sabes", "saber"]
        }
        Language::Dutch => &["geschreven", "schreef", "schrijf", "schrijft", "weet", "weten", "zeg", "zegt"],
    }
}

#[cfg(test)]
mod tests {
    use twin_text::words::words;

    use super::*;

    #[test]
    fn the_words_of_who_asks_tell_nothing_in_any_language() {
        for (question, telling) in [
            ("Was hast du über den Bienenstock geschrieben?", vec!["bienenstock"]),
            ("Was muss man über Bienen wissen?", vec!["bienen"]),
            ("Qu'as-tu écrit sur les sédiments de la rivière ?", vec!["sédiments", "rivière"]),
            ("¿Qué has escrito sobre los sedimentos?", vec!["sedimentos"]),
            ("Che cosa hai scritto sulle api?", vec!["api"]),
            ("O que escreveste sobre as abelhas?", vec!["abelhas"]),
            ("Wat heb je over de bijen geschreven?", vec!["bijen"]),
            ("How do I use it in Go?", vec!["use", "go"]),
        ] {
            let language = Language::told(question);
            let found: Vec<String> = words(question).into_iter().filter(|word| is_telling(word, language)).collect();
            assert_eq!(found, telling, "{question}");
        }
    }
}
