//! The wording in Italian.

use super::Wording;

/// The wording in Italian.
pub(super) const WORDING: Wording = Wording {
    about_heading: &[
        "Scrivi di {subject}.",
        "Spiega {subject}.",
        "Che cosa dici di {subject}?",
        "Scrivi la parte su {subject}.",
    ],
    about_heading_in_title: &[
        "Scrivi di {subject}, come parte di «{title}».",
        "In «{title}», che cosa dici di {subject}?",
        "Scrivi la sezione «{subject}» di «{title}».",
    ],
    generic_part: &["Scrivi la parte «{subject}» di «{title}».", "Che cosa dice la parte «{subject}» di «{title}»?"],
    about_title: &["Scrivi l'inizio di «{title}».", "Come inizi «{title}»?"],
    whole: &["Scrivi «{title}».", "Scrivi un testo dal titolo «{title}».", "Come scriveresti «{title}»?"],
    post_of_title: &["Scrivi un breve post: «{title}».", "Scrivi il post «{title}»."],
    about_words: &[
        "Scrivi di {words}.",
        "Che cosa pensi di {words}?",
        "Scrivi qualche riga su {words}.",
        "Di' qualcosa su {words}.",
    ],
    about_words_in: &[
        "Scrivi ancora di {subject}: {words}.",
        "Continua su {subject}, e arriva a {words}.",
        "Su {subject}: e {words}?",
    ],
    continuing: &[
        "Continua questo testo:\n\n{text}",
        "Ti sei fermato qui. Scrivi il seguito.\n\n{text}",
        "{text}\n\nCome continua?",
    ],
    replying: &["Rispondi a questo:\n\n{text}", "Che cosa rispondi?\n\n{text}"],
    titling: &["Dai un titolo a questo testo:\n\n{text}", "Come lo chiameresti?\n\n{text}"],
    from_notes: &["Fai un testo di questi appunti:\n\n{text}", "Scrivilo per esteso:\n\n{text}"],
    questions: &[
        "Che cosa hai scritto su {subject}?",
        "Che cosa dici di {subject}?",
        "Che cosa dovrei sapere di {subject}?",
        "Puoi parlarmi di {subject}?",
        "{subject}?",
    ],
    how: &[],
    in_particular: "{subject}, in particolare {words}",
    and: " e ",
    generic: &[
        "introduzione",
        "panoramica",
        "riassunto",
        "sommario",
        "conclusione",
        "conclusioni",
        "contesto",
        "motivazione",
        "note",
        "esempio",
        "esempi",
        "uso",
        "discussione",
        "risultati",
        "prefazione",
        "dettagli",
    ],
    interrogatives: &["come", "che", "cosa", "perché", "quando", "dove", "chi", "quale", "quali", "quanto", "quanti"],
    imperatives: "",
};
