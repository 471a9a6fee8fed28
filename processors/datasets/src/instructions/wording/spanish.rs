//! The wording in Spanish.

use super::Wording;

/// The wording in Spanish.
pub(super) const WORDING: Wording = Wording {
    about_heading: &[
        "Escribe sobre {subject}.",
        "Explica {subject}.",
        "¿Qué dices sobre {subject}?",
        "Escribe la parte sobre {subject}.",
    ],
    about_heading_in_title: &[
        "Escribe sobre {subject}, como parte de «{title}».",
        "En «{title}», ¿qué dices sobre {subject}?",
        "Escribe la sección «{subject}» de «{title}».",
    ],
    generic_part: &["Escribe la parte «{subject}» de «{title}».", "¿Qué dice la parte «{subject}» de «{title}»?"],
    about_title: &["Escribe el comienzo de «{title}».", "¿Cómo empiezas «{title}»?"],
    whole: &["Escribe «{title}».", "Escribe un texto con el título «{title}».", "¿Cómo escribirías «{title}»?"],
    post_of_title: &["Escribe una entrada breve: «{title}».", "Escribe la entrada «{title}»."],
    about_words: &[
        "Escribe sobre {words}.",
        "¿Qué piensas de {words}?",
        "Escribe unas líneas sobre {words}.",
        "Di algo sobre {words}.",
    ],
    about_words_in: &[
        "Escribe más sobre {subject}: {words}.",
        "Sigue con {subject}, y llega a {words}.",
        "Sobre {subject}: ¿qué hay de {words}?",
    ],
    continuing: &[
        "Continúa este texto:\n\n{text}",
        "Aquí lo dejaste. Escribe lo que sigue.\n\n{text}",
        "{text}\n\n¿Cómo sigue?",
    ],
    replying: &["Responde a esto:\n\n{text}", "¿Qué dices a esto?\n\n{text}"],
    titling: &["Pon un título a este texto:\n\n{text}", "¿Cómo llamarías a esto?\n\n{text}"],
    from_notes: &["Convierte estas notas en un texto:\n\n{text}", "Redacta esto:\n\n{text}"],
    questions: &[
        "¿Qué has escrito sobre {subject}?",
        "¿Qué dices sobre {subject}?",
        "¿Qué debería saber sobre {subject}?",
        "¿Puedes hablarme de {subject}?",
        "¿{subject}?",
    ],
    how: &[],
    in_particular: "{subject}, en particular {words}",
    and: " y ",
    generic: &[
        "introducción",
        "resumen",
        "visión general",
        "conclusión",
        "conclusiones",
        "contexto",
        "motivación",
        "notas",
        "ejemplo",
        "ejemplos",
        "uso",
        "discusión",
        "resultados",
        "prefacio",
        "prólogo",
        "detalles",
    ],
    interrogatives: &["cómo", "qué", "cuándo", "dónde", "quién", "quiénes", "cuál", "cuáles", "cuánto", "cuántos"],
    imperatives: "",
};
