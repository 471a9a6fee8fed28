//! What a sentence denies: the words beside `not`, `never`, `no`, `without`, and the like in the languages of
//! [`Language::ALL`], by the language of the sentence. Pairs of opposites (`before`, `after`) are those of English alone.

use std::collections::HashSet;

use twin_text::natural::Language;

use super::claims::is_content;
use super::tokens::tokens;
use crate::quotes::terms::stem;

/// Words that deny what comes next, of each language in the order of [`Language::ALL`].
const DENIALS: [&[&str]; 7] = [
    &["not", "never", "no", "none", "nobody", "nothing", "neither", "nor", "without", "cannot", "nowhere"],
    &[
        "nicht", "nie", "niemals", "nichts", "niemand", "nirgends", "weder", "ohne", "kein", "keine", "keinem",
        "keinen", "keiner", "keines",
    ],
    &["pas", "jamais", "rien", "aucun", "aucune", "ni", "sans"],
    &["no", "nunca", "jamás", "nada", "nadie", "ningún", "ninguna", "ninguno", "ni", "sin", "tampoco"],
    &["non", "mai", "niente", "nulla", "nessun", "nessuna", "nessuno", "né", "senza"],
    &["não", "nunca", "jamais", "nada", "ninguém", "nenhum", "nenhuma", "nem", "sem"],
    &["niet", "nooit", "niets", "niemand", "nergens", "geen", "zonder"],
];

/// Of these, the words that stand behind the verb that they deny: `friert nicht`, `ne gèle pas`.
const BEHIND_THE_VERB: [&str; 9] = ["nicht", "nie", "niemals", "pas", "jamais", "rien", "niet", "nooit", "niets"];

/// Of these, the words that mean something else in another language: they tell nothing where the language is not known.
const AMBIGUOUS: [&str; 3] = ["mai", "pas", "sin"];

/// Words before which a denial denies nothing: `not only`, `nicht nur`.
const ONLY: [&str; 10] = ["only", "nur", "bloß", "seulement", "solo", "sólo", "solamente", "só", "somente", "alleen"];

/// Words that begin what is not denied any more.
const TURNS: [&str; 11] = ["but", "unless", "aber", "sondern", "mais", "pero", "sino", "ma", "mas", "maar", "tranne"];

/// Words that are denied by a word before them, at most, or where that stands behind the verb, by one behind them.
const SCOPE: usize = 2;

/// Words that a denial is told by the place of: those behind it, at most, up to the first one that tells something.
const PLACE: usize = 3;

/// What may stand where `no` stood: `has no lock` denies `has a lock`.
const ARTICLES: [&str; 25] = [
    "a", "all", "an", "any", "each", "een", "ein", "eine", "einem", "einen", "einer", "eines", "every", "one", "some",
    "the", "um", "uma", "un", "una", "une", "uno", "unos", "des", "du",
];

/// English words of which one says the contrary of the other.
const OPPOSITES: [(&str, &str); 19] = [
    ("before", "after"),
    ("more", "less"),
    ("more", "fewer"),
    ("most", "least"),
    ("always", "never"),
    ("above", "below"),
    ("first", "last"),
    ("all", "none"),
    ("newest", "oldest"),
    ("newer", "older"),
    ("faster", "slower"),
    ("larger", "smaller"),
    ("increases", "decreases"),
    ("allowed", "forbidden"),
    ("accepted", "refused"),
    ("accepted", "rejected"),
    ("enabled", "disabled"),
    ("raises", "lowers"),
    ("success", "failure"),
];

/// What a text denies, and what it says at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Polarity {
    /// For each denial, the words that it is of, as they are compared.
    scopes: Vec<Vec<String>>,
    /// Where the denials stand that have a word before them.
    places: Vec<Place>,
    words: HashSet<String>,
    /// The words in their order.
    order: Vec<String>,
    /// For each pair of opposites, whether the one and the other stands there.
    opposites: Vec<(bool, bool)>,
}

/// The words around a denial, as they are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    before: String,
    behind: Vec<String>,
}

impl Place {
    /// Where the denial stands at this index, if words stand on both sides. `tells`: a word tells something.
    fn of(words: &[String], index: usize, tells: impl Fn(&str) -> bool) -> Option<Self> {
        let before = stem(words.get(index.checked_sub(1)?)?);
        let behind = &words[index + 1..words.len().min(index + 1 + PLACE)];
        let end = behind.iter().position(|word| tells(word)).map_or(behind.len(), |at| at + 1);
        let behind: Vec<String> = behind[..end].iter().map(|word| stem(word)).collect();
        (!behind.is_empty()).then_some(Self { before, behind })
    }

    /// Whether the same words stand there without the denial, or with an article in its place.
    fn is_plain_in(&self, order: &[String]) -> bool {
        let is_article = |word: &String| ARTICLES.iter().any(|article| stem(article) == *word);
        let befores = order.iter().enumerate().filter(|(_, word)| **word == self.before);
        befores.map(|(at, _)| &order[at + 1..]).any(|behind| {
            let replaced = behind.split_first().filter(|(first, _)| is_article(first));
            behind.starts_with(&self.behind) || replaced.is_some_and(|(_, rest)| rest.starts_with(&self.behind))
        })
    }
}

impl Polarity {
    /// Of a text.
    pub(super) fn new(text: &str) -> Self {
        let tokens = tokens(text);
        let lower: Vec<String> =
            tokens.iter().map(|token| token.text.to_lowercase().replace('\u{2019}', "'")).collect();
        let words: HashSet<String> = lower.iter().map(|word| stem(word)).collect();
        let has = |word: &str| words.contains(&stem(word));
        let language = Language::told(text);
        // What is no content in English, `is_content` knows.
        let other = language.filter(|language| *language != Language::English);
        let tells = |word: &str| is_content(word) && other.is_none_or(|language| !language.is_stop_word(word));
        let opposites = OPPOSITES.iter().map(|(one, other)| (has(one), has(other))).collect();
        let order = lower.iter().map(|word| stem(word)).collect();
        let mut polarity = Self { scopes: Vec::new(), places: Vec::new(), opposites, words, order };
        for (index, word) in lower.iter().enumerate() {
            if !is_denial(word, language) || is_figure_of_speech(&lower, index) {
                continue;
            }
            let behind = (index + 1..lower.len()).take_while(|at| *at == index + 1 || !tokens[at - 1].ends_clause);
            let behind = if tokens[index].ends_clause { Vec::new() } else { behind.collect() };
            let behind = behind.into_iter().take_while(|at| !TURNS.contains(&lower[*at].as_str()));
            let mut scope: Vec<String> =
                behind.filter(|at| tells(&lower[*at])).take(SCOPE).map(|at| stem(&lower[at])).collect();
            if BEHIND_THE_VERB.contains(&word.as_str()) {
                let before = (0..index).rev().take_while(|at| !tokens[*at].ends_clause);
                scope.extend(before.filter(|at| tells(&lower[*at])).take(SCOPE).map(|at| stem(&lower[at])));
            }
            if scope.is_empty() {
                let before = lower[..index].iter().rev().find(|word| tells(word));
                scope.extend(before.map(|word| stem(word)));
            }
            polarity.scopes.push(scope);
            polarity.places.extend(Place::of(&lower, index, tells));
        }
        polarity
    }

    /// What both say, wherever it stands.
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = Self { places: Vec::new(), order: Vec::new(), ..self.clone() };
        both.scopes.extend(other.scopes.iter().cloned());
        both.words.extend(other.words.iter().cloned());
        for (mine, others) in both.opposites.iter_mut().zip(&other.opposites) {
            *mine = (mine.0 || others.0, mine.1 || others.1);
        }
        both
    }

    /// Whether one of the two denies what the other says, or says its contrary.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        let are_opposite = |(mine, others): (&(bool, bool), &(bool, bool))| {
            matches!((mine, others), ((true, false), (false, true)) | ((false, true), (true, false)))
        };
        let denies = self.denies(other) || other.denies(self) || self.undoes(other);
        denies || self.opposites.iter().zip(&other.opposites).any(are_opposite)
    }

    /// Whether it denies words that the other says and does not deny.
    fn denies(&self, other: &Self) -> bool {
        let is_denied = |word: &String| other.scopes.iter().any(|scope| scope.contains(word));
        self.scopes.iter().any(|scope| {
            let shared: Vec<&String> = scope.iter().filter(|word| other.words.contains(*word)).collect();
            !shared.is_empty() && !shared.into_iter().any(is_denied)
        })
    }

    /// The words of one text in their order, as they are compared.
    pub(super) fn order(&self) -> &[String] {
        &self.order
    }

    /// Whether one of the two says word for word what the other says, but for a denial in that place.
    pub(super) fn undoes(&self, other: &Self) -> bool {
        self.denies_in_place(other) || other.denies_in_place(self)
    }

    /// Whether it says word for word what the other says, but for a denial that the other has not in that place. That tells where
    /// the other denies a word of the same scope too (`no lock and no lease` beside `a lock and no lease`), unless it denies
    /// that word as often: `no lock is kept` beside `a lock is not kept`.
    fn denies_in_place(&self, other: &Self) -> bool {
        let has_more = self.scopes.len() > other.scopes.len();
        let denies_too = |place: &Place| {
            let last = place.behind.last();
            other.scopes.iter().any(|scope| last.is_some_and(|last| scope.contains(last)))
        };
        let is_undone = |place: &Place| !other.places.contains(place) && place.is_plain_in(&other.order);
        self.places.iter().any(|place| is_undone(place) && (has_more || !denies_too(place)))
    }
}

/// Whether a word denies something in this language; in any, where it is not known.
fn is_denial(word: &str, language: Option<Language>) -> bool {
    let is_of = |language: Language| {
        DENIALS[language as usize].contains(&word) || language == Language::English && word.ends_with("n't")
    };
    match language {
        Some(language) => is_of(language),
        None => !AMBIGUOUS.contains(&word) && Language::ALL.into_iter().any(is_of),
    }
}

/// `not only`, `nicht nur`, `whether or not`, `if not`: nothing is denied.
fn is_figure_of_speech(words: &[String], index: usize) -> bool {
    let next = words.get(index + 1).map(String::as_str);
    let before = index.checked_sub(1).and_then(|before| words.get(before)).map(String::as_str);
    next.is_some_and(|next| ONLY.contains(&next)) || words[index] == "not" && matches!(before, Some("or" | "if"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contradict(one: &str, other: &str) -> bool {
        let (one, other) = (Polarity::new(one), Polarity::new(other));
        assert_eq!(one.contradicts(&other), other.contradicts(&one));
        one.contradicts(&other)
    }

    #[test]
    fn a_denial_of_what_is_said_contradicts_it() {
        for (said, denied) in [
            ("The crawler reads the file.", "The crawler does not read the file."),
            ("The crawler reads the file.", "The crawler doesn't consult the file."),
            ("There are Kafka transactions.", "There are no Kafka transactions."),
            ("Sleeping: wait for a condition.", "No sleeping: wait for a condition."),
            ("It is asked each time.", "It is never asked."),
            ("The claim is there.", "The claim is not."),
            ("It is done before the write.", "It is done after the write."),
            ("No stage can decode that.", "No stage can not decode that."),
            ("It can be written again without harm.", "It can not be written again without harm."),
            ("Who can read the folder can read them.", "Who can not read the folder can read them."),
            ("The gateway has some authentication and no TLS.", "The gateway has no authentication and no TLS."),
            ("Without it the model is trained.", "Without it the model is not trained."),
        ] {
            assert!(contradict(said, denied), "{said} {denied}");
        }
    }

    #[test]
    fn so_does_a_denial_in_another_language() {
        for (said, denied) in [
            ("Der Bach friert im Winter zu.", "Der Bach friert im Winter nicht zu."),
            ("Ich gebe den Bienen im Herbst Zucker.", "Ich gebe den Bienen im Herbst keinen Zucker."),
            ("Die Datei wird immer gelöscht.", "Die Datei wird nie gelöscht."),
            ("Le ruisseau gèle en hiver.", "Le ruisseau ne gèle pas en hiver."),
            ("Je nourris les abeilles avec du sucre.", "Je ne nourris jamais les abeilles avec du sucre."),
            ("El río se hiela en el invierno.", "El río no se hiela en el invierno."),
            ("Las abejas duermen por la noche.", "Las abejas nunca duermen por la noche."),
            ("Il fiume gela con la neve.", "Il fiume non gela con la neve."),
            ("O rio congela com o frio.", "O rio não congela com o frio."),
            ("De beek bevriest in de winter.", "De beek bevriest niet in de winter."),
            ("Ik geef de bijen suiker in het najaar.", "Ik geef de bijen geen suiker in het najaar."),
            ("De beek bevriest altijd in de winter.", "De beek bevriest nooit in de winter."),
        ] {
            assert!(contradict(said, denied), "{said} {denied}");
        }
        for (one, other) in [
            ("Der Bach friert nicht zu.", "Im Winter friert der Bach nie zu."),
            ("Nicht nur der Bach friert zu.", "Der Bach friert im Winter zu."),
            ("Le ruisseau ne gèle pas en hiver.", "En hiver, le ruisseau ne gèle jamais."),
            ("El río no se hiela en el invierno.", "En el invierno el río nunca se hiela."),
            ("De beek bevriest niet.", "In de winter bevriest de beek nooit."),
            ("Im Mai Honig.", "Honig im Juni."),
        ] {
            assert!(!contradict(one, other), "{one} {other}");
        }
    }

    #[test]
    fn the_same_denial_in_other_words_does_not() {
        for (one, other) in [
            ("No event is lost.", "Nothing is lost."),
            ("The model isn't asked.", "It answers without asking the model."),
            ("It never deletes old points.", "The old points are not deleted."),
            ("Not only rivers freeze.", "Rivers freeze."),
            ("The Isar rises in spring.", "The Isar rises in spring; the Inn does not freeze."),
            ("It runs before and after the write.", "It runs after the write."),
            ("The gateway has no authentication or TLS.", "The gateway has no authentication and no TLS."),
            ("A cache is no database.", "A cache is not a database."),
            ("A cache is a drawer.", "A cache is a drawer, and it is not a box."),
            ("No document is published twice.", "A document is not published twice."),
        ] {
            assert!(!contradict(one, other), "{one} {other}");
        }
    }
}
