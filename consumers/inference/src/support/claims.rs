//! Which parts of an answer claim something. That the twin does not know is told in each language that it says so in; greetings
//! and offers of help are told in English alone.

use twin_llm::ABSTENTIONS;
use twin_llm::quotations::normalised;
use twin_text::markdown::list_item;
use twin_text::words::{is_stop_word, words};

use super::facts::facts;
pub(super) use super::pieces::without_markers;
use super::pieces::{Form, Piece, pieces};

/// Characters of a claim that are read: no sentence that somebody reads is longer.
const READ_CHARS: usize = 600;

/// Words that tell something of what is claimed, in a claim that has no number and no name.
const LEAST_WORDS: usize = 2;

/// How an English sentence begins that greets or offers help: it claims nothing, unless it names a passage. In other languages
/// such a sentence is one that claims something.
const PHRASES: [&str; 18] = [
    "hello",
    "hi there",
    "great question",
    "good question",
    "thank you",
    "thanks for",
    "you're welcome",
    "i hope this",
    "i hope that",
    "hope this helps",
    "let me",
    "feel free to",
    "if you have any",
    "if you have more",
    "if you have further",
    "happy to help",
    "i'm happy to",
    "i'd be happy to",
];

/// How a sentence begins that says what the twin does not know, in each of the seven languages. It claims nothing, whatever names
/// and numbers the unknown has, unless it goes on with something else ([`TURNS`]) or names a passage.
const UNKNOWING: [&str; 37] = [
    "i don't know",
    "i do not know",
    "i'm not sure",
    "i am not sure",
    "i can't answer",
    "i cannot answer",
    "i can't say",
    "i cannot say",
    "the passages don't say",
    "the passages do not say",
    "the passages don't mention",
    "the passages do not mention",
    "ich weiß nicht",
    "das weiß ich nicht",
    "ich bin nicht sicher",
    "ich bin mir nicht sicher",
    "ich kann nicht sagen",
    "je ne sais pas",
    "j'ignore",
    "je ne suis pas sûr",
    "je ne suis pas sûre",
    "je ne peux pas dire",
    "no sé",
    "no lo sé",
    "no estoy seguro",
    "no estoy segura",
    "non so",
    "non lo so",
    "non sono sicuro",
    "non sono sicura",
    "não sei",
    "eu não sei",
    "não tenho certeza",
    "ik weet niet",
    "ik weet het niet",
    "dat weet ik niet",
    "ik weet niet zeker",
];

/// Words with which such a sentence goes on to something that is known.
const TURNS: [&str; 12] =
    ["but", "however", "although", "aber", "doch", "jedoch", "mais", "pero", "sino", "però", "mas", "maar"];

/// Marks behind which it goes on so. Without its comma, Italian's word for "but" is French's for "my".
const STOPS: [&str; 5] = [":", ";", "\u{2014}", "\u{2013}", ", ma "];

/// Words with which German says what is not known, behind a comma.
const ASKING: [&str; 14] =
    ["ob", "wie", "wann", "wo", "was", "warum", "wer", "wen", "wem", "welche", "welcher", "welches", "woher", "wohin"];

/// Words that a claim is not about, beside the stop words of a question.
const FUNCTION_WORDS: [&str; 82] = [
    "after",
    "again",
    "all",
    "also",
    "am",
    "any",
    "because",
    "been",
    "before",
    "being",
    "both",
    "but",
    "cannot",
    "certainly",
    "could",
    "did",
    "during",
    "each",
    "either",
    "else",
    "even",
    "every",
    "few",
    "first",
    "get",
    "gets",
    "got",
    "he",
    "her",
    "here",
    "his",
    "however",
    "i'd",
    "i'll",
    "i'm",
    "i've",
    "just",
    "may",
    "might",
    "more",
    "most",
    "must",
    "neither",
    "never",
    "no",
    "nobody",
    "none",
    "nor",
    "not",
    "nothing",
    "now",
    "one",
    "only",
    "other",
    "our",
    "own",
    "same",
    "shall",
    "she",
    "since",
    "so",
    "some",
    "such",
    "sure",
    "than",
    "them",
    "then",
    "these",
    "they",
    "those",
    "though",
    "thus",
    "too",
    "until",
    "us",
    "very",
    "were",
    "while",
    "without",
    "would",
    "yes",
    "your",
];

/// A part of an answer that claims something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// As it stands in the answer.
    pub text: String,
    /// What it is.
    pub form: Form,
    /// What it says: without markers and marks.
    pub reading: String,
}

/// The parts of an answer that claim something, in order. What claims nothing: a greeting, a question, an offer of help, that
/// the twin does not know, what only leads to a list or to code, and what has too few words to say anything.
pub(super) fn claims(answer: &str) -> Vec<Claim> {
    claims_of(answer, pieces(answer))
}

/// Of these parts of an answer, those that claim something.
pub(super) fn claims_of(answer: &str, pieces: Vec<Piece>) -> Vec<Claim> {
    let claim = |Piece { range, form, .. }| {
        let text = answer[range].trim();
        Claim { text: text.to_owned(), form, reading: reading(text, form) }
    };
    pieces.into_iter().map(claim).filter(claims_something).collect()
}

/// What a piece says: without markers of passages, marks of lists and bars of tables.
pub(super) fn reading(text: &str, form: Form) -> String {
    let text = match form {
        Form::Code => return text.to_owned(),
        Form::Row => crate::quotes::units::cells(text),
        Form::Sentence => list_item(text).unwrap_or(text).to_owned(),
    };
    let mut said = String::new();
    for word in without_markers(&text).replace('*', "").split_whitespace() {
        // A marker leaves a space before the stop that ends its sentence. A stop before a word begins a name: `.gitignore`.
        let is_stop = word.trim_end_matches(is_closing) == ".";
        if !said.is_empty() && !is_stop {
            said.push(' ');
        }
        said.push_str(word);
    }
    said.chars().take(READ_CHARS).collect()
}

/// What may stand behind the end of a sentence.
fn is_closing(character: char) -> bool {
    matches!(character, '"' | '\'' | ')' | '\u{201d}')
}

/// Whether a word, in lower case, tells something of what is claimed.
pub(super) fn is_content(word: &str) -> bool {
    !is_stop_word(word) && !FUNCTION_WORDS.contains(&word) && !word.ends_with("n't")
}

fn claims_something(claim: &Claim) -> bool {
    if claim.form == Form::Code {
        return claim.reading.lines().any(|line| !words(line).is_empty() && !line.trim_start().starts_with(['`', '~']));
    }
    let said = claim.reading.trim_end_matches(|c: char| is_closing(c) || c.is_whitespace());
    let start = normalised(said).to_lowercase();
    let has_facts = !facts(said, true).is_empty();
    let is_abstention = is_of_an_abstention(said);
    let is_question = said.ends_with(['?', '\u{ff1f}']);
    let leads_on = said.ends_with([':', '\u{ff1a}']) && !has_facts;
    let unknown = UNKNOWING.iter().filter_map(|phrase| behind(&start, phrase)).min_by_key(|rest| rest.len());
    let is_unknowing = unknown.is_some_and(|rest| !turns(rest) || (!has_facts && content(rest) < LEAST_WORDS));
    let is_phrase = PHRASES.iter().any(|phrase| start.starts_with(phrase)) && !has_facts;
    let says_nothing = (is_unknowing || is_phrase) && !names_a_passage(&claim.text);
    if is_abstention || is_question || leads_on || says_nothing {
        return false;
    }
    content(said) >= LEAST_WORDS || has_facts
}

/// How many words tell something.
fn content(text: &str) -> usize {
    words(text).iter().filter(|word| is_content(word)).count()
}

/// What stands behind the phrase that a text begins with. `non so` does not begin `non sono`.
fn behind<'a>(text: &'a str, phrase: &str) -> Option<&'a str> {
    text.strip_prefix(phrase).filter(|rest| !rest.starts_with(char::is_alphanumeric))
}

/// Whether what is said of the unknown goes on with something else: behind a stop within the sentence, or a word that turns.
fn turns(unknown: &str) -> bool {
    let words = words(unknown);
    let asks = words.first().is_some_and(|word| ASKING.contains(&word.as_str()));
    let is_stopped = unknown.starts_with(',') && !asks;
    is_stopped
        || STOPS.iter().any(|stop| unknown.contains(stop))
        || words.iter().any(|word| TURNS.contains(&word.as_str()))
}

/// Whether the twin says so when it does not know, in whatever language; or it is one of the sentences of that.
fn is_of_an_abstention(said: &str) -> bool {
    let said = normalised(said);
    let is_of = |abstention: &str| {
        let abstention = normalised(abstention);
        said.contains(&abstention) || abstention.contains(&said)
    };
    ABSTENTIONS.iter().any(|(_, abstention)| is_of(abstention))
}

fn names_a_passage(text: &str) -> bool {
    without_markers(text) != text
}
