//! The wording in Portuguese.

use super::Wording;

/// The wording in Portuguese.
pub(super) const WORDING: Wording = Wording {
    about_heading: &[
        "Escreva sobre {subject}.",
        "Explique {subject}.",
        "O que você diz sobre {subject}?",
        "Escreva a parte sobre {subject}.",
    ],
    about_heading_in_title: &[
        "Escreva sobre {subject}, como parte de \"{title}\".",
        "Em \"{title}\", o que você diz sobre {subject}?",
        "Escreva a seção \"{subject}\" de \"{title}\".",
    ],
    generic_part: &["Escreva a parte \"{subject}\" de \"{title}\".", "O que diz a parte \"{subject}\" de \"{title}\"?"],
    about_title: &["Escreva o começo de \"{title}\".", "Como você começa \"{title}\"?"],
    whole: &["Escreva \"{title}\".", "Escreva um texto com o título \"{title}\".", "Como você escreveria \"{title}\"?"],
    post_of_title: &["Escreva uma postagem curta: \"{title}\".", "Escreva a postagem \"{title}\"."],
    about_words: &[
        "Escreva sobre {words}.",
        "O que você acha de {words}?",
        "Escreva algumas linhas sobre {words}.",
        "Diga algo sobre {words}.",
    ],
    about_words_in: &[
        "Escreva mais sobre {subject}: {words}.",
        "Continue sobre {subject}, e chegue a {words}.",
        "Sobre {subject}: e {words}?",
    ],
    continuing: &[
        "Continue este texto:\n\n{text}",
        "Você parou aqui. Escreva o que vem depois.\n\n{text}",
        "{text}\n\nComo continua?",
    ],
    replying: &["Responda a isto:\n\n{text}", "O que você diz a isto?\n\n{text}"],
    titling: &["Dê um título a este texto:\n\n{text}", "Como você chamaria isto?\n\n{text}"],
    from_notes: &["Transforme estas notas em um texto:\n\n{text}", "Escreva isto por extenso:\n\n{text}"],
    questions: &[
        "O que você escreveu sobre {subject}?",
        "O que você diz sobre {subject}?",
        "O que eu deveria saber sobre {subject}?",
        "Pode me falar de {subject}?",
        "{subject}?",
    ],
    how: &[],
    in_particular: "{subject}, em particular {words}",
    and: " e ",
    generic: &[
        "introdução",
        "visão geral",
        "resumo",
        "conclusão",
        "conclusões",
        "contexto",
        "motivação",
        "notas",
        "exemplo",
        "exemplos",
        "uso",
        "discussão",
        "resultados",
        "prefácio",
        "detalhes",
    ],
    interrogatives: &["como", "que", "porque", "quando", "onde", "quem", "qual", "quais", "quanto", "quantos"],
    imperatives: "",
};
