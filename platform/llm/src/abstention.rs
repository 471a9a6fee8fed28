//! What the twin says when it does not know, in the language of who asks. Datasets teach it, serving says it, and an
//! evaluation knows it by this.

/// What the twin says, in English, when nothing that it knows is close enough to the question.
pub const ABSTENTION: &str =
    "I don't know: nothing I have published covers that. Try asking about a topic I have written on.";

/// The same by the ISO 639-3 code of the language.
pub const ABSTENTIONS: [(&str, &str); 7] = [
    ("eng", ABSTENTION),
    (
        "deu",
        "Das weiß ich nicht: Nichts, was ich veröffentlicht habe, behandelt das. Frag nach einem Thema, über das ich \
         geschrieben habe.",
    ),
    (
        "fra",
        "Je ne sais pas : rien de ce que j'ai publié n'en parle. Essayez une question sur un sujet dont j'ai traité.",
    ),
    ("spa", "No lo sé: nada de lo que he publicado trata de eso. Pregunta por un tema sobre el que haya escrito."),
    ("ita", "Non lo so: niente di ciò che ho pubblicato ne parla. Prova a chiedere di un argomento di cui ho scritto."),
    ("por", "Não sei: nada do que publiquei trata disso. Tente perguntar sobre um tema de que eu tenha escrito."),
    (
        "nld",
        "Dat weet ik niet: niets van wat ik heb gepubliceerd gaat daarover. Vraag naar een onderwerp waarover ik heb \
         geschreven.",
    ),
];

/// What the twin says in a language, by its ISO 639-3 code; in English where it has no words for that one.
pub fn abstention(language: Option<&str>) -> &'static str {
    let known = language.and_then(|code| ABSTENTIONS.iter().find(|(of, _)| *of == code));
    known.map_or(ABSTENTION, |(_, text)| text)
}

/// Whether a text is what the twin says when it does not know, in any language.
pub fn is_abstention(text: &str) -> bool {
    ABSTENTIONS.iter().any(|(_, abstention)| *abstention == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twin_says_that_it_does_not_know_in_the_language_of_who_asks() {
        assert!(abstention(Some("deu")).starts_with("Das weiß ich nicht"));
        assert_eq!((abstention(None), abstention(Some("fin"))), (ABSTENTION, ABSTENTION));
        assert!(ABSTENTIONS.iter().all(|(code, text)| abstention(Some(code)) == *text && is_abstention(text)));
        assert!(!is_abstention("I don't know."));
    }
}
