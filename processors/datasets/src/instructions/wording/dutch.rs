//! The wording in Dutch.

use super::Wording;

/// The wording in Dutch.
pub(super) const WORDING: Wording = Wording {
    about_heading: &[
        "Schrijf over {subject}.",
        "Leg {subject} uit.",
        "Wat zeg je over {subject}?",
        "Schrijf het deel over {subject}.",
    ],
    about_heading_in_title: &[
        "Schrijf over {subject}, als deel van \"{title}\".",
        "Wat zeg je in \"{title}\" over {subject}?",
        "Schrijf het stuk \"{subject}\" van \"{title}\".",
    ],
    generic_part: &[
        "Schrijf het deel \"{subject}\" van \"{title}\".",
        "Hoe luidt het deel \"{subject}\" van \"{title}\"?",
    ],
    about_title: &["Schrijf het begin van \"{title}\".", "Hoe begin je \"{title}\"?"],
    whole: &[
        "Schrijf \"{title}\".",
        "Schrijf een tekst met de titel \"{title}\".",
        "Hoe zou je \"{title}\" schrijven?",
    ],
    post_of_title: &["Schrijf een kort bericht: \"{title}\".", "Schrijf het bericht \"{title}\"."],
    about_words: &[
        "Schrijf over {words}.",
        "Wat vind je van {words}?",
        "Schrijf een paar regels over {words}.",
        "Zeg iets over {words}.",
    ],
    about_words_in: &[
        "Schrijf meer over {subject}: {words}.",
        "Ga door over {subject}, en kom op {words}.",
        "Over {subject}: hoe zit het met {words}?",
    ],
    continuing: &[
        "Schrijf deze tekst verder:\n\n{text}",
        "Hier ben je gestopt. Schrijf wat volgt.\n\n{text}",
        "{text}\n\nHoe gaat het verder?",
    ],
    replying: &["Antwoord hierop:\n\n{text}", "Wat zeg je hierop?\n\n{text}"],
    titling: &["Geef deze tekst een titel:\n\n{text}", "Hoe zou je dit noemen?\n\n{text}"],
    from_notes: &["Maak van deze notities een tekst:\n\n{text}", "Schrijf dit uit:\n\n{text}"],
    questions: &[
        "Wat heb je over {subject} geschreven?",
        "Wat zeg je over {subject}?",
        "Wat zou ik over {subject} moeten weten?",
        "Kun je me iets over {subject} vertellen?",
        "{subject}?",
    ],
    how: &[],
    in_particular: "{subject}, in het bijzonder {words}",
    and: " en ",
    generic: &[
        "inleiding",
        "overzicht",
        "samenvatting",
        "conclusie",
        "conclusies",
        "achtergrond",
        "motivatie",
        "notities",
        "voorbeeld",
        "voorbeelden",
        "gebruik",
        "discussie",
        "resultaten",
        "voorwoord",
        "details",
    ],
    interrogatives: &["hoe", "wat", "waarom", "wanneer", "waar", "wie", "wiens", "welke", "welk"],
    imperatives: "",
};
