//! The wording in French.

use super::Wording;

/// The wording in French.
pub(super) const WORDING: Wording = Wording {
    about_heading: &[
        "Écris sur {subject}.",
        "Explique {subject}.",
        "Que dis-tu de {subject} ?",
        "Écris la partie sur {subject}.",
    ],
    about_heading_in_title: &[
        "Écris sur {subject}, dans « {title} ».",
        "Dans « {title} », que dis-tu de {subject} ?",
        "Écris la section « {subject} » de « {title} ».",
    ],
    generic_part: &[
        "Écris la partie « {subject} » de « {title} ».",
        "Que dit la partie « {subject} » de « {title} » ?",
    ],
    about_title: &["Écris le début de « {title} ».", "Comment commences-tu « {title} » ?"],
    whole: &["Écris « {title} ».", "Écris un texte intitulé « {title} ».", "Comment écrirais-tu « {title} » ?"],
    post_of_title: &["Écris un court billet : « {title} ».", "Écris le billet « {title} »."],
    about_words: &[
        "Écris sur {words}.",
        "Que penses-tu de {words} ?",
        "Écris quelques lignes sur {words}.",
        "Dis quelque chose sur {words}.",
    ],
    about_words_in: &[
        "Écris davantage sur {subject} : {words}.",
        "Continue sur {subject}, et viens-en à {words}.",
        "Sur {subject} : et {words} ?",
    ],
    continuing: &[
        "Continue ce texte :\n\n{text}",
        "Tu t'es arrêté ici. Écris la suite.\n\n{text}",
        "{text}\n\nComment cela continue-t-il ?",
    ],
    replying: &["Réponds à ceci :\n\n{text}", "Que réponds-tu à cela ?\n\n{text}"],
    titling: &["Donne un titre à ce texte :\n\n{text}", "Comment appellerais-tu cela ?\n\n{text}"],
    from_notes: &["Fais un texte de ces notes :\n\n{text}", "Rédige ceci :\n\n{text}"],
    questions: &[
        "Qu'as-tu écrit sur {subject} ?",
        "Que dis-tu de {subject} ?",
        "Que devrais-je savoir sur {subject} ?",
        "Peux-tu me parler de {subject} ?",
        "{subject} ?",
    ],
    how: &[],
    in_particular: "{subject}, en particulier {words}",
    and: " et ",
    generic: &[
        "introduction",
        "aperçu",
        "résumé",
        "conclusion",
        "conclusions",
        "contexte",
        "motivation",
        "notes",
        "exemple",
        "exemples",
        "utilisation",
        "discussion",
        "résultats",
        "préface",
        "avant-propos",
        "détails",
        "divers",
    ],
    interrogatives: &[
        "comment", "pourquoi", "quand", "où", "qui", "que", "quoi", "quel", "quelle", "quels", "quelles", "combien",
    ],
    imperatives: "",
};
