//! What a sentence may not have that its passage has not: numbers, dates, versions, units, names and identifiers.

use std::collections::HashSet;

use twin_schemas::SupportReason;

use super::claims::is_content;
use super::numbers::{Unit, figures, loose_number_word, number_word, product, unit};
use super::tokens::{Token, tokens};
use crate::quotes::terms::{stem, stems};

/// Letters of a name that may stand there in another form.
const INFLECTED_LETTERS: usize = 4;

/// What is put behind a name and leaves it the same: plural and genitive, of English and of German. What has more behind it is
/// another name: `Java` is not `JavaScript`.
const INFLECTIONS: [&str; 4] = ["s", "es", "n", "en"];

/// Months, whose short forms are made long.
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Something that is true of a thing and false of another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Fact {
    /// A number in its one form, with its unit.
    Number(String, Option<Unit>),
    /// A name, in lower case.
    Name(String),
    /// A name of something in a program, in lower case: a key, a path, a flag, what stands between back-ticks.
    Identifier(String),
}

/// A fact as a sentence has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stated {
    /// What it is.
    pub fact: Fact,
    /// As it is written.
    pub shown: String,
}

impl Stated {
    /// Why a sentence is not supported that has it where no passage has.
    pub(super) fn reason(&self) -> SupportReason {
        match self.fact {
            Fact::Number(..) => SupportReason::Number,
            Fact::Name(_) | Fact::Identifier(_) => SupportReason::Name,
        }
    }
}

/// The facts of a sentence. `capitals_tell`: in its language a capital letter within a sentence begins a name. A word that
/// begins the sentence is a name only if its form says so (`SQLite`).
pub(super) fn facts(text: &str, capitals_tell: bool) -> Vec<Stated> {
    let mut reader = Reader { capitals_tell, is_loose: false, found: Vec::new() };
    reader.read(text);
    reader.found
}

/// The word that begins a sentence, if it may be a name.
pub(super) fn initial_word(text: &str) -> Option<&str> {
    let first = tokens(text).into_iter().next()?;
    let word = first.text.to_lowercase();
    let is_form = ["ing", "ly", "ed"].iter().any(|ending| word.ends_with(ending));
    let is_word = first.text.chars().all(|c| c.is_alphabetic() || c == '-');
    (is_word
        && first.text.starts_with(char::is_uppercase)
        && is_content(&word)
        && !is_form
        && number_word(&word).is_none())
    .then_some(first.text)
}

/// The share of words within sentences that begin with a capital letter, with how many words were looked at.
pub(super) fn capitals(text: &str) -> (usize, usize) {
    let within =
        tokens(text).into_iter().filter(|token| !token.is_initial && token.text.starts_with(char::is_alphabetic));
    within.fold((0, 0), |(capitals, all), token| {
        (capitals + usize::from(token.text.starts_with(char::is_uppercase)), all + 1)
    })
}

struct Reader {
    capitals_tell: bool,
    /// It reads a passage: what may be a number is one.
    is_loose: bool,
    found: Vec<Stated>,
}

impl Reader {
    fn read(&mut self, text: &str) {
        let all: Vec<Token<'_>> = tokens(text);
        for (index, token) in all.iter().enumerate() {
            let next = all.get(index + 1).filter(|_| !token.ends_clause).map(|next| next.text);
            self.token(token, next);
        }
    }

    fn token(&mut self, token: &Token<'_>, next: Option<&str>) {
        if let Some(date) = date(token.text) {
            return self.date(token.text, date);
        }
        if is_identifier(token.text) {
            return self.push(Fact::Identifier(token.text.to_lowercase()), token.text);
        }
        if token.is_code && figures(token.text).is_none() {
            return self.push(Fact::Identifier(token.text.to_lowercase()), token.text);
        }
        let parts: Vec<&str> = token.text.split(['-', '/']).filter(|part| !part.is_empty()).collect();
        for (index, part) in parts.iter().enumerate() {
            let next = parts.get(index + 1).copied().or(next);
            let is_initial = token.is_initial && index == 0;
            self.word(part, next, is_initial);
        }
    }

    fn word(&mut self, word: &str, next: Option<&str>, is_initial: bool) {
        let value = number_word(word).map(str::to_owned);
        let value = value.or_else(|| loose_number_word(word).filter(|_| self.is_loose).map(str::to_owned));
        if let Some((value, written_on)) = value.map(|value| (value, None)).or_else(|| figures(word)) {
            let unit = written_on.or_else(|| next.and_then(unit));
            return self.number(value, unit, word);
        }
        let capitals = word.chars().filter(|c| c.is_uppercase()).count();
        let has_digit = word.chars().any(|c| c.is_ascii_digit());
        let is_capital = word.starts_with(char::is_uppercase) && word.chars().count() > 1;
        let lower = word.to_lowercase();
        let lower = lower.strip_suffix("'s").or_else(|| lower.strip_suffix("\u{2019}s")).unwrap_or(&lower);
        if has_digit || capitals > 1 && !is_pronoun(lower) {
            self.push(Fact::Name(lower.to_owned()), word);
        } else if is_capital && !is_initial && self.capitals_tell && is_content(lower) {
            let long = MONTHS.iter().find(|month| lower.len() >= 3 && month.starts_with(lower));
            self.push(Fact::Name(long.map_or(lower, |long| *long).to_owned()), word);
        }
    }

    /// `three hundred` is one number.
    fn number(&mut self, value: String, unit: Option<Unit>, shown: &str) {
        if let Some(Stated { fact: Fact::Number(before, None), .. }) = self.found.last()
            && matches!(value.as_str(), "100" | "1000" | "1000000" | "1000000000")
            && let Some(product) = product(before, &value)
        {
            let before = self.found.pop().map(|stated| stated.shown).unwrap_or_default();
            return self.push(Fact::Number(product, unit), &format!("{before} {shown}"));
        }
        self.push(Fact::Number(value, unit), shown);
    }

    /// In a passage the parts of a date are there by themselves, too.
    fn date(&mut self, shown: &str, [year, month, day]: [&str; 3]) {
        self.push(Fact::Number(shown.to_owned(), None), shown);
        if self.is_loose {
            for part in [year, month, day] {
                self.push(Fact::Number(part.trim_start_matches('0').to_owned(), None), part);
            }
            let name = month.parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1)));
            self.found
                .extend(name.map(|name| Stated { fact: Fact::Name((*name).to_owned()), shown: month.to_owned() }));
        }
    }

    fn push(&mut self, fact: Fact, shown: &str) {
        self.found.push(Stated { fact, shown: shown.to_owned() });
    }
}

fn is_of_a_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// What stands behind a name, up to the end of the word, leaves it the same. An apostrophe ends the word: `Kafka's`.
fn is_inflection(rest: &str) -> bool {
    rest.is_empty() || INFLECTIONS.contains(&rest)
}

fn is_pronoun(lower: &str) -> bool {
    lower.split(['\'', '\u{2019}']).next() == Some("i")
}

/// Year, month and day of an ISO 8601 date.
fn date(token: &str) -> Option<[&str; 3]> {
    let mut parts = token.split('-');
    let date = [parts.next()?, parts.next()?, parts.next()?];
    let is_number =
        |(part, digits): (&&str, usize)| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
    (parts.next().is_none() && date.iter().zip([4, 2, 2]).all(is_number)).then_some(date)
}

/// Whether a token is told by its marks to be a name in a program: `max_tokens`, `a::b`, `--all`, `robots.txt`, `/v1/query`.
fn is_identifier(token: &str) -> bool {
    let has_letter = token.chars().any(char::is_alphabetic);
    let is_dotted = || {
        let parts: Vec<&str> = token.split('.').collect();
        parts.len() > 1
            && parts.iter().all(|part| !part.is_empty())
            && parts.iter().any(|part| part.chars().count() > 1)
    };
    let is_version = token.starts_with(['v', 'V']) && token[1..].starts_with(|c: char| c.is_ascii_digit());
    let is_path = || token.matches('/').count() > 1 || token.starts_with(['/', '~']) && token.len() > 1;
    has_letter
        && !is_version
        && (token.contains(['_', '@', '\\'])
            || token.contains("::")
            || token.contains("://")
            || token.starts_with("--")
            || is_path()
            || is_dotted())
        && figures(token).is_none()
}

/// What a part of a passage, or several together, say.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    numbers: HashSet<(String, Option<Unit>)>,
    units: HashSet<Unit>,
    /// Names as the passage has them.
    names: HashSet<String>,
    stems: HashSet<String>,
    /// In lower case, each line of it and a space.
    text: String,
}

impl Known {
    /// What a text says.
    pub(super) fn new(text: &str) -> Self {
        let mut reader = Reader { capitals_tell: true, is_loose: true, found: Vec::new() };
        reader.read(text);
        let mut known = Self { stems: stems(text), text: format!("{} ", text.to_lowercase()), ..Self::default() };
        for stated in reader.found {
            match stated.fact {
                Fact::Number(value, unit) => {
                    known.numbers.insert((value, unit));
                }
                Fact::Name(name) => {
                    known.names.insert(name);
                }
                Fact::Identifier(_) => {}
            }
        }
        let written = tokens(text).into_iter().flat_map(|token| token.text.split(['-', '/']).collect::<Vec<_>>());
        known.units = written.filter_map(unit).chain(known.numbers.iter().filter_map(|(_, unit)| *unit)).collect();
        known
    }

    /// What both say.
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.numbers.extend(other.numbers.iter().cloned());
        both.units.extend(&other.units);
        both.names.extend(other.names.iter().cloned());
        both.stems.extend(other.stems.iter().cloned());
        both.text.push_str(&other.text);
        both
    }

    /// Whether it says so. A number that has a unit has to have it here, or none while the unit is named beside it, as in a
    /// table.
    pub(super) fn has(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Number(value, unit) => {
                let with = |unit: Option<Unit>| self.numbers.contains(&(value.clone(), unit));
                match unit {
                    Some(unit) => with(Some(unit)) || with(None) && self.units.contains(unit),
                    None => self.numbers.iter().any(|(known, _)| known == value),
                }
            }
            Fact::Name(name) => {
                self.names.contains(name)
                    || self.stems.contains(&stem(name))
                    || name.chars().count() >= INFLECTED_LETTERS && self.stands(name, is_inflection)
            }
            Fact::Identifier(identifier) => {
                let is_word = identifier.chars().all(char::is_alphabetic);
                is_word && self.stems.contains(&stem(identifier)) || self.stands(identifier, str::is_empty)
            }
        }
    }

    /// Whether a word stands there in some form.
    pub(super) fn has_word(&self, word: &str) -> bool {
        self.stems.contains(&stem(word)) || self.stands(word, |_| true)
    }

    /// Whether these characters stand there, with none of a name before them, and behind them, up to the end of the word, what
    /// may be there.
    fn stands(&self, wanted: &str, may_follow: impl Fn(&str) -> bool) -> bool {
        self.text.match_indices(wanted).any(|(at, _)| {
            let before = self.text[..at].chars().next_back();
            let behind = &self.text[at + wanted.len()..];
            let rest = &behind[..behind.find(|c| !is_of_a_name(c)).unwrap_or(behind.len())];
            !before.is_some_and(is_of_a_name) && may_follow(rest)
        })
    }

    /// Its names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Its words as they are compared.
    pub(super) fn stems(&self) -> &HashSet<String> {
        &self.stems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        facts(text, true).into_iter().map(|stated| stated.shown).collect()
    }

    #[test]
    fn facts_are_numbers_names_and_identifiers() {
        let text =
            "Rivers of Bavaria, e.g. the Isar, flow 1,000 m in SQLite with `llm.top_p` and --all since 2021-03-04.";
        assert_eq!(shown(text), ["Bavaria", "Isar", "1,000", "SQLite", "llm.top_p", "--all", "2021-03-04"]);
        assert_eq!(shown("I don't think that one of us, or he/she, reads and/or writes."), [""; 0]);
        assert_eq!(
            shown("SHA-256 of UUIDv5, three hundred 24-hour days"),
            ["SHA", "256", "UUIDv5", "three hundred", "24"]
        );
        assert_eq!(shown("It is `quote` or `generate`."), ["quote", "generate"]);
    }

    #[test]
    fn where_capitals_tell_nothing_only_the_form_makes_a_name() {
        let told: Vec<String> =
            facts("Der Fluss der Stadt ist in GitHub.", false).into_iter().map(|stated| stated.shown).collect();
        assert_eq!(told, ["GitHub"]);
    }

    #[test]
    fn a_fact_is_known_in_another_form_and_not_with_another_unit() {
        let known = Known::new(
            "It took ten minutes on 2021-03-04 in the Himalayas; duration, ms | 300. Deliveries were 12,000.",
        );
        let has = |text: &str| facts(text, true).iter().all(|stated| known.has(&stated.fact));
        assert!(
            has("took 10 min") && has("in March 2021") && has("the Himalaya") && has("of 300 ms") && has("so 12000")
        );
        for wrong in ["took 10 h", "in April", "with Oracle", "of 301 ms", "so 1200", "is `ms_of`"] {
            assert!(!has(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_no_other_name_that_begins_with_it() {
        let known =
            Known::new("We write JavaScript for Postgres and Kubernetes, read Kafka's logs, and like Berlins Brücken.");
        let has = |text: &str| facts(text, true).iter().all(|stated| known.has(&stated.fact));
        for same in ["in JavaScript", "on Postgres", "of Kafka", "in Berlin"] {
            assert!(has(same), "{same}");
        }
        for other in ["in Java", "a Post", "of Kube"] {
            assert!(!facts(other, true).is_empty() && !has(other), "{other}");
        }
    }

    #[test]
    fn the_word_that_begins_a_sentence_may_be_a_name() {
        assert_eq!(initial_word("Kafka keeps it."), Some("Kafka"));
        for text in ["The log.", "Deleting it.", "kafka", "Usually so.", "1 event", ""] {
            assert_eq!(initial_word(text), None, "{text}");
        }
    }
}
