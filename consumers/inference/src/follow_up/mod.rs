//! What a message of a conversation asks for: rules, without a model.
//!
//! In: the conversation. Out: a [`Reading`] of its last message. One that stands alone is searched as it is. One that depends
//! on what was asked before (`And in Rust?`, `Why?`, `How do I test that?`) is searched together with the question that it
//! goes on from. One that is about the answer before (`Shorter, please`) is that question again. A greeting or thanks is
//! answered with courtesy.
//!
//! Languages are told by their commonest words ([`Lexicon`]). Where a rule errs, it errs towards searching more words than
//! were needed: a message with enough words of its own is never joined with what came before.

mod lexicon;
mod lexicons;
mod rewriting;
mod searched;

use std::borrow::Cow;

use twin_schemas::{ChatMessage, Role};
use twin_text::sentences::sentences;
use twin_text::words::words;

use lexicon::{ASKING, Lexicon, PREPOSITION, REFERRING, RELATIONAL};
use lexicons::LEXICONS;

/// A message that is longer stands alone, characters. So much of an earlier question is searched again, too.
const MOST_CHARS: usize = 200;

/// Messages of the user that are looked at.
const MESSAGES: usize = 12;

/// Bytes of a message that are read at its beginning and at its end: what is asked stands at one of them, and what was pasted
/// between them may be long.
const READ: usize = 2_000;

/// Further questions that are searched with the one that they go on from: the last ones.
const FURTHER: usize = 2;

/// Words with content of a message that goes on with `and`, or refers to several things or to what was said as a whole.
const FEW: usize = 3;

/// The same of one with a word like `it`, which is often there without meaning anything.
const VERY_FEW: usize = 2;

/// What the last message of a conversation asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It is a question of its own.
    StandsAlone,
    /// It depends on earlier ones: the question that is made of all of them.
    FollowUp(String),
    /// It wants the answer before in another form: the question of that.
    AsBefore(String),
    /// It is a greeting, thanks or the like: the reply.
    Courtesy(&'static str),
}

/// What a message is, seen after those before it.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    StandsAlone,
    FollowsUp,
    AsBefore,
    Courtesy(&'static str),
}

/// Reads the last message of a conversation.
pub(crate) fn read(conversation: &[ChatMessage]) -> Reading {
    let of_user = conversation.iter().rev().filter(|turn| turn.role == Role::User).take(MESSAGES);
    let read: Vec<Cow<'_, str>> = of_user.map(|turn| ends(&turn.content)).collect();
    let asked: Vec<&str> = read.iter().rev().map(|message| message.as_ref()).collect();
    // The question that stood alone, and those that went on from it.
    let mut topic: Vec<String> = Vec::new();
    let mut last = Kind::StandsAlone;
    for (number, message) in asked.iter().enumerate() {
        last = kind(message, &asked[..number], !topic.is_empty());
        match last {
            Kind::StandsAlone => topic = vec![essence(message)],
            Kind::FollowsUp => {
                topic.push(essence(message));
                if topic.len() > 1 + FURTHER {
                    topic.remove(1);
                }
            }
            Kind::AsBefore | Kind::Courtesy(_) => {}
        }
    }
    match last {
        Kind::StandsAlone => Reading::StandsAlone,
        Kind::FollowsUp => Reading::FollowUp(topic.join(" ")),
        Kind::AsBefore => Reading::AsBefore(topic.join(" ")),
        Kind::Courtesy(reply) => Reading::Courtesy(reply),
    }
}

/// A message; of a long one, its beginning and its end.
fn ends(message: &str) -> Cow<'_, str> {
    if message.len() <= 2 * READ {
        return Cow::Borrowed(message);
    }
    let (beginning, end) = (message.floor_char_boundary(READ), message.ceil_char_boundary(message.len() - READ));
    Cow::Owned(format!("{}\n{}", &message[..beginning], &message[end..]))
}

fn kind(message: &str, earlier: &[&str], is_there_a_topic: bool) -> Kind {
    if message.chars().count() > MOST_CHARS {
        return Kind::StandsAlone;
    }
    let all = words(message);
    let lexicon = lexicon_of(&all, earlier);
    if let Some(reply) = lexicon.courtesy(message, &all) {
        return Kind::Courtesy(reply);
    }
    if !is_there_a_topic {
        return Kind::StandsAlone;
    }
    let said = lexicon.without_interjections(&all);
    if lexicon.is_about_the_answer(said) {
        Kind::AsBefore
    } else if depends(lexicon, said) {
        Kind::FollowsUp
    } else {
        Kind::StandsAlone
    }
}

/// Whether a message can not be understood without those before it.
fn depends(lexicon: &Lexicon, said: &[String]) -> bool {
    let content = lexicon.content(said);
    let has_any_of_its_own = content.iter().any(|word| !lexicon.is(word, RELATIONAL));
    // `And how are they deleted?` is a question of its own if it has the words for it; `and over Kafka?` is none.
    let goes_on = lexicon.behind_connectives(said).any(|rest| content.len() <= 1 || !lexicon.has_any(rest, ASKING));
    let is_elliptic =
        said.first().is_some_and(|first| lexicon.is(first, PREPOSITION)) && !lexicon.has_any(said, ASKING);
    !has_any_of_its_own
        || content.len() <= FEW && (goes_on || lexicon.has_any(said, REFERRING))
        || content.len() <= VERY_FEW && (is_elliptic || lexicon.has_pronoun(said))
}

/// The lexicon of the language that has most of the words, of the message first, then of the earlier ones.
fn lexicon_of(said: &[String], earlier: &[&str]) -> &'static Lexicon {
    let earlier: Vec<String> = earlier.iter().rev().take(FURTHER).flat_map(|message| words(message)).collect();
    let rank = |lexicon: &Lexicon| (lexicon.count(said), lexicon.count(&earlier));
    // Of equals the first one: English.
    LEXICONS.iter().rev().max_by_key(|lexicon| rank(lexicon)).unwrap_or(&LEXICONS[0])
}

/// A message in one line; of a long one, its last question or else its first sentence.
fn essence(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MOST_CHARS {
        return line;
    }
    let all = sentences(&line, 0..line.len());
    let question = all.iter().rev().find(|range| line[(*range).clone()].ends_with(['?', '？']));
    let telling = question.or(all.first()).map_or("", |range| &line[range.clone()]);
    telling.chars().take(MOST_CHARS).collect()
}

#[cfg(test)]
mod tests;
