//! A question that stands alone, as a model rewrites it; and whether that is to be believed.

use std::collections::HashSet;

use twin_llm::{ChatRequest, standalone_prompt};
use twin_schemas::{ChatMessage, Role};
use twin_text::natural::Language;
use twin_text::quotation_marks::is_mark;
use twin_text::words::words;

use super::{MESSAGES, ends};
use crate::quotes::terms::stem;
use crate::telling::is_telling;

/// Tokens of the rewritten question, at most.
const TOKENS: u32 = 64;

/// Its longest, characters.
const MOST_CHARS: usize = 300;

/// What a model is asked for the question.
pub(super) fn request(conversation: &[ChatMessage]) -> ChatRequest {
    ChatRequest::greedy(standalone_prompt(conversation), TOKENS)
}

/// The question in a model's reply. None if it is not one of this conversation: small models go on with something else, or
/// answer. It has a word of the last message, if that has any of its own, and most of its words were said before.
pub(super) fn question(reply: &str, conversation: &[ChatMessage]) -> Option<String> {
    let line = reply.lines().map(str::trim).find(|line| !line.is_empty())?;
    let question = line.trim_matches(|c| is_mark(c) || matches!(c, '*' | ' '));
    // It is asked in the language of the conversation.
    let language = Language::told(question);
    let telling = |text: &str| -> HashSet<String> {
        words(text).iter().filter(|word| is_telling(word, language)).map(|word| stem(word)).collect()
    };
    let written = telling(question);
    let (last, earlier) = conversation.split_last()?;
    let last = telling(&ends(&last.content));
    // Of the user and of the twin.
    let turns = earlier.iter().rev().filter(|turn| turn.role != Role::System).take(2 * MESSAGES);
    let said = turns.flat_map(|turn| telling(&ends(&turn.content)));
    let before: HashSet<String> = said.collect();
    let known = written.iter().filter(|word| last.contains(*word) || before.contains(*word)).count();
    let goes_on = last.is_empty() || written.iter().any(|word| last.contains(word));
    let is_whole = written.iter().any(|word| before.contains(word));
    let is_believed = question.chars().count() <= MOST_CHARS && goes_on && is_whole && 3 * known >= 2 * written.len();
    is_believed.then(|| question.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation() -> Vec<ChatMessage> {
        let turn = |role, content: &str| ChatMessage { role, content: content.to_owned() };
        vec![
            turn(Role::User, "How do leases work in Go?"),
            turn(Role::Assistant, "A lease has a holder [1]."),
            turn(Role::User, "And in Rust?"),
        ]
    }

    #[test]
    fn what_a_model_writes_is_believed_if_it_is_a_question_of_the_conversation() {
        let read = |reply: &str| question(reply, &conversation());
        assert_eq!(read("How do leases work in Rust?").as_deref(), Some("How do leases work in Rust?"));
        assert_eq!(
            read("\n \"How does a lease work in Rust?\"\nBecause…").as_deref(),
            Some("How does a lease work in Rust?")
        );
        for reply in [
            "",
            "  \n ",
            "How do leases work in Go?",
            "In Rust?",
            "Rust is a systems programming language that guarantees memory safety without a garbage collector.",
            &"leases in Rust ".repeat(30),
        ] {
            assert_eq!(read(reply), None, "{reply}");
        }
    }

    #[test]
    fn small_words_of_other_languages_make_no_question_of_the_conversation_either() {
        let turn = |role, content: &str| ChatMessage { role, content: content.to_owned() };
        for (asked, next, whole, part) in [
            (
                "Wie ist das Verhalten von Leases in Go?",
                "Und in Rust?",
                "Wie ist das Verhalten von Leases in Rust?",
                "Wie ist das in Rust?",
            ),
            (
                "Comment est-ce que les baux expirent dans Go ?",
                "Et avec Rust ?",
                "Comment est-ce que les baux expirent avec Rust ?",
                "Comment est-ce que les Rust ?",
            ),
        ] {
            let turns = [turn(Role::User, asked), turn(Role::Assistant, "[1]"), turn(Role::User, next)];
            assert_eq!(question(whole, &turns).as_deref(), Some(whole));
            assert_eq!(question(part, &turns), None, "{part}");
        }
    }

    #[test]
    fn a_message_without_words_of_its_own_asks_for_none_of_them() {
        let mut why = conversation();
        why[2].content = "Why?".to_owned();
        assert_eq!(question("Why do leases have a holder?", &why).as_deref(), Some("Why do leases have a holder?"));
    }

    #[test]
    fn the_request_is_small_and_greedy() {
        let request = request(&conversation());
        assert_eq!((request.max_tokens, request.temperature), (64, 0.0));
        assert!(request.messages.last().unwrap().content.contains("And in Rust?"));
    }
}
