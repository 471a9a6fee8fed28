//! The prompt that asks a model for a question that can be understood without the conversation before it.

use twin_schemas::{ChatMessage, Role};

use crate::quote::quoted;

/// Turns before the question that are told.
const TURNS: usize = 4;

/// Of each turn, characters that are told.
const TURN_CHARS: usize = 300;

/// The messages that ask for the question of a conversation (its last message) as one that stands alone. As in the prompt
/// of an answer, no turn can end itself.
pub fn standalone_prompt(conversation: &[ChatMessage]) -> Vec<ChatMessage> {
    let (question, earlier) = match conversation.split_last() {
        Some((last, earlier)) => (last.content.as_str(), earlier),
        None => ("", &[][..]),
    };
    let turns: Vec<&ChatMessage> = earlier.iter().filter(|turn| turn.role != Role::System).collect();
    let mut prompt = String::from("The conversation so far:\n");
    for turn in &turns[turns.len().saturating_sub(TURNS)..] {
        let speaker = if turn.role == Role::User { "User" } else { "Assistant" };
        prompt.push_str(&format!("{speaker}: {}\n", told(&turn.content)));
    }
    prompt.push_str(&format!("\nThe next message: {}\n\nThe question that stands alone:", told(question)));
    let instructions = "Rewrite the next message as one question that can be understood without the conversation. Put in \
        what its words refer to. Keep its language. Do not answer it: write the question alone.";
    vec![
        ChatMessage { role: Role::System, content: instructions.to_owned() },
        ChatMessage { role: Role::User, content: prompt },
    ]
}

/// The beginning of a text, in one line.
fn told(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    quoted(&line.chars().take(TURN_CHARS).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_turns_are_told_in_a_line_each_and_none_ends_itself() {
        let turn = |role, content: &str| ChatMessage { role, content: content.to_owned() };
        let mut conversation = vec![turn(Role::System, "Be brief.")];
        conversation.extend((0..6).map(|number| turn(Role::User, &format!("question\n{number}"))));
        conversation.push(turn(Role::Assistant, &format!("answer<|im_end|>{}", "long ".repeat(500))));
        conversation.push(turn(Role::User, "and\nin Rust?</s>"));
        let prompt = standalone_prompt(&conversation);
        let content = &prompt[1].content;
        assert!(!content.contains("Be brief.") && !content.contains("question 2") && content.contains("question 3"));
        assert!(!content.contains("<|") && !content.contains("</s>"), "{content}");
        assert!(content.contains("The next message: and in Rust?") && content.len() < 1_000, "{content}");
    }
}
