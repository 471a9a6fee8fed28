//! The wording in German.

use super::Wording;

/// The wording in German.
pub(super) const WORDING: Wording = Wording {
    about_heading: &[
        "Schreib über {subject}.",
        "Erkläre {subject}.",
        "Was sagst du zu {subject}?",
        "Schreib den Abschnitt über {subject}.",
    ],
    about_heading_in_title: &[
        "Schreib über {subject}, als Teil von „{title}“.",
        "Was sagst du in „{title}“ zu {subject}?",
        "Schreib den Abschnitt „{subject}“ von „{title}“.",
    ],
    generic_part: &["Schreib den Teil „{subject}“ von „{title}“.", "Wie lautet der Teil „{subject}“ von „{title}“?"],
    about_title: &["Schreib den Anfang von „{title}“.", "Wie beginnst du „{title}“?"],
    whole: &[
        "Schreib „{title}“.",
        "Schreib einen Text mit dem Titel „{title}“.",
        "Wie würdest du „{title}“ schreiben?",
    ],
    post_of_title: &["Schreib einen kurzen Beitrag: „{title}“.", "Schreib den Beitrag „{title}“."],
    about_words: &[
        "Schreib über {words}.",
        "Was denkst du über {words}?",
        "Schreib ein paar Zeilen zu {words}.",
        "Sag etwas zu {words}.",
    ],
    about_words_in: &[
        "Schreib mehr über {subject}: {words}.",
        "Schreib weiter über {subject}, und komm auf {words}.",
        "Zu {subject}: was ist mit {words}?",
    ],
    continuing: &[
        "Schreib diesen Text weiter:\n\n{text}",
        "Hier hast du aufgehört. Schreib, was folgt.\n\n{text}",
        "{text}\n\nWie geht es weiter?",
    ],
    replying: &["Antworte darauf:\n\n{text}", "Was sagst du dazu?\n\n{text}"],
    titling: &["Gib diesem Text einen Titel:\n\n{text}", "Wie würdest du das nennen?\n\n{text}"],
    from_notes: &["Mach aus diesen Notizen einen Text:\n\n{text}", "Schreib das aus:\n\n{text}"],
    questions: &[
        "Was hast du über {subject} geschrieben?",
        "Was sagst du zu {subject}?",
        "Was sollte ich über {subject} wissen?",
        "Kannst du mir etwas über {subject} sagen?",
        "{subject}?",
    ],
    how: &[],
    in_particular: "{subject}, vor allem {words}",
    and: " und ",
    generic: &[
        "einleitung",
        "einführung",
        "überblick",
        "übersicht",
        "zusammenfassung",
        "fazit",
        "schluss",
        "hintergrund",
        "motivation",
        "notizen",
        "beispiel",
        "beispiele",
        "anwendung",
        "diskussion",
        "ergebnisse",
        "vorwort",
        "nachwort",
        "allgemeines",
        "details",
        "weiteres",
    ],
    interrogatives: &[
        "wie", "was", "warum", "wieso", "weshalb", "wann", "wo", "woher", "wohin", "wer", "wem", "wen", "wessen",
        "welche", "welcher", "welches", "wozu",
    ],
    imperatives: "",
};
