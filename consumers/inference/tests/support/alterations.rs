//! Sentences made of a passage's own: in other words, and with one thing altered. The same each time.

use twin_schemas::Passage;

/// What is altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number becomes one that is in no passage.
    Number,
    /// A name within the sentence becomes one that is in no passage.
    Name,
    /// What stands between back-ticks becomes something that is in no passage.
    Identifier,
    /// `not` is put in, or taken out.
    Negation,
    /// A sentence of another document stands in its place.
    Foreign,
}

/// Words with others that say the same there.
const WORDS: [(&str, &str); 44] = [
    ("each", "every"),
    ("every", "each"),
    ("begins", "starts"),
    ("begin", "start"),
    ("shows", "displays"),
    ("tells", "says"),
    ("told", "said"),
    ("says", "states"),
    ("kept", "retained"),
    ("keeps", "retains"),
    ("removed", "deleted"),
    ("removes", "deletes"),
    ("deleted", "removed"),
    ("again", "once more"),
    ("asked", "requested"),
    ("asks", "requests"),
    ("holds", "contains"),
    ("needs", "requires"),
    ("need", "require"),
    ("made", "created"),
    ("makes", "creates"),
    ("whole", "entire"),
    ("wrong", "incorrect"),
    ("since", "because"),
    ("while", "as long as"),
    ("named", "called"),
    ("goes", "moves"),
    ("found", "located"),
    ("counts", "matters"),
    ("first", "initially"),
    ("newest", "latest"),
    ("large", "big"),
    ("small", "little"),
    ("takes", "uses"),
    ("must", "has to"),
    ("may", "can"),
    ("waits", "pauses"),
    ("ends", "finishes"),
    ("looks", "searches"),
    ("gives", "provides"),
    ("given", "provided"),
    ("written", "recorded"),
    ("reads", "loads"),
    ("does not", "doesn't"),
];

/// Words of a sentence that are put in another's place, at most.
const MOST_WORDS: usize = 3;

/// What a model puts around a sentence.
const FRAMES: [(&str, &str); 5] =
    [("In short, ", ""), ("", " [1]"), ("As I have written, ", ""), ("To put it briefly: ", " [2]"), ("", "")];

/// The sentence as a model could say it.
pub fn reworded(sentence: &str, index: usize) -> String {
    let mut text = sentence.trim_start_matches(['-', '*', ' ']).replace("**", "");
    let mut changed = 0;
    for (word, other) in WORDS.iter().cycle().skip(index % WORDS.len()).take(WORDS.len()) {
        let padded = format!(" {word} ");
        if changed < MOST_WORDS && text.contains(&padded) {
            text = text.replacen(&padded, &format!(" {other} "), 1);
            changed += 1;
        }
    }
    let (before, behind) = FRAMES[index % FRAMES.len()];
    let end = text.trim_end_matches(['.', ':', ';']).len();
    let said = if before.is_empty() { text[..end].to_owned() } else { uncapitalised(&text[..end]) };
    format!("{before}{said}{behind}.")
}

/// Without the capital letter that begins a sentence; names and what begins with two keep theirs.
fn uncapitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().unwrap_or_default();
    let is_word = characters.clone().next().is_some_and(|second| second.is_lowercase() || second == ' ');
    if is_word { first.to_lowercase().chain(characters).collect() } else { text.to_owned() }
}

/// The sentence with one thing altered: the first of that kind in it, or the one so many behind. None: there is none.
pub fn altered(
    kind: Kind,
    sentence: &str,
    (index, nth): (usize, usize),
    passages: &[Passage],
    all: &[(&str, &[Passage])],
) -> Option<String> {
    let is_nowhere = |text: &str| {
        let known = |passage: &Passage| {
            let heading = passage.heading_path.join(" ");
            format!("{} {heading} {:?} {}", passage.text, passage.title, passage.natural_key).to_lowercase()
        };
        !passages.iter().any(|passage| known(passage).contains(&text.to_lowercase()))
    };
    match kind {
        Kind::Number => number(sentence, nth, is_nowhere),
        Kind::Name => name(sentence, (index, nth), is_nowhere),
        Kind::Identifier if nth == 0 => identifier(sentence, index, is_nowhere),
        Kind::Negation if nth == 0 => negation(sentence),
        Kind::Foreign if nth == 0 => foreign(index, passages, all),
        Kind::Identifier | Kind::Negation | Kind::Foreign => None,
    }
}

/// A number that stands by itself, in figures or as a word, becomes another.
fn number(sentence: &str, nth: usize, is_nowhere: impl Fn(&str) -> bool) -> Option<String> {
    const WORDS: [&str; 9] = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    let words: Vec<&str> = sentence.split(' ').collect();
    let bare_at = |at: usize| words[at].trim_matches(|c: char| !c.is_alphanumeric());
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A marker is no part of what is said.
    let is_marker = |word: &str| word.starts_with('[') && word.contains(']');
    let counts = |at: usize| WORDS.contains(&bare_at(at)) || is_number(bare_at(at));
    let at = (0..words.len()).filter(|at| !is_marker(words[*at]) && counts(*at)).nth(nth)?;
    let bare = bare_at(at);
    let other = match bare.parse::<u64>() {
        Ok(number) => (1..40).map(|step| (number + 7 * step).to_string()).find(|other| is_nowhere(other))?,
        Err(_) => {
            let value =
                |word: &str| (2 + WORDS.iter().position(|known| *known == word).unwrap_or_default()).to_string();
            // From the end: `two` may stand there as `both`.
            WORDS.iter().rev().find(|other| is_nowhere(other) && is_nowhere(&value(other)))?.to_string()
        }
    };
    Some(with_word(&words, at, &words[at].replacen(bare, &other, 1)))
}

/// A name that stands behind a word in small letters becomes another.
fn name(sentence: &str, (index, nth): (usize, usize), is_nowhere: impl Fn(&str) -> bool) -> Option<String> {
    const NAMES: [&str; 6] = ["Marconi", "Grafana", "Vienna", "Pulsar", "Turing", "Oslo"];
    let words: Vec<&str> = sentence.split(' ').collect();
    let is_name = |word: &str| {
        let bare = word.trim_end_matches(|c: char| !c.is_alphanumeric());
        bare.len() > 2 && bare.chars().all(char::is_alphanumeric) && bare.starts_with(|c: char| c.is_ascii_uppercase())
    };
    let is_behind_a_word = |at: usize| words[at - 1].ends_with(|c: char| c.is_ascii_lowercase());
    let at = (1..words.len()).filter(|at| is_name(words[*at]) && is_behind_a_word(*at)).nth(nth)?;
    let other = NAMES.iter().cycle().skip(index % NAMES.len()).take(NAMES.len()).find(|name| is_nowhere(name))?;
    let bare = words[at].trim_end_matches(|c: char| !c.is_alphanumeric());
    Some(with_word(&words, at, &words[at].replacen(bare, other, 1)))
}

/// What stands between the first two back-ticks becomes something else.
fn identifier(sentence: &str, index: usize, is_nowhere: impl Fn(&str) -> bool) -> Option<String> {
    const OTHERS: [&str; 4] = ["cache.shards", "--verbose", "flush_rate", "rotate"];
    let mut parts = sentence.splitn(3, '`');
    let (before, code, behind) = (parts.next()?, parts.next()?, parts.next()?);
    let other = OTHERS.iter().cycle().skip(index % OTHERS.len()).take(OTHERS.len()).find(|other| is_nowhere(other))?;
    (!code.is_empty()).then(|| format!("{before}`{other}`{behind}"))
}

/// `not` is taken out, or put behind a verb that can have it.
fn negation(sentence: &str) -> Option<String> {
    for (denied, said) in [
        (" does not ", " does "),
        (" is not ", " is "),
        (" are not ", " are "),
        (" never ", " always "),
        (" no ", " some "),
    ] {
        if sentence.contains(denied) {
            return Some(sentence.replacen(denied, said, 1));
        }
    }
    let verbs = [" is ", " are ", " can ", " may ", " must ", " was ", " were ", " has to ", " will "];
    let verb = verbs.iter().filter_map(|verb| sentence.find(verb).map(|at| (at, *verb))).min()?;
    (!sentence.contains(" not ") && !sentence.contains("n't "))
        .then(|| format!("{}{}not {}", &sentence[..verb.0], verb.1, &sentence[verb.0 + verb.1.len()..]))
}

/// A sentence of a document that none of the passages is of.
fn foreign(index: usize, passages: &[Passage], all: &[(&str, &[Passage])]) -> Option<String> {
    let is_other = |others: &[Passage]| {
        others.first().is_some_and(|other| passages.iter().all(|one| one.document_id != other.document_id))
    };
    let from = (index * 37) % all.len();
    let (text, _) = all.iter().cycle().skip(from).take(all.len()).find(|(_, others)| is_other(others))?;
    Some((*text).to_owned())
}

fn with_word(words: &[&str], at: usize, word: &str) -> String {
    let mut words = words.to_vec();
    words[at] = word;
    words.join(" ")
}
