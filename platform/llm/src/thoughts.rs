//! What a model thinks before it answers, for those that think though they are asked not to, and for servers that do not tell
//! thoughts and answer apart.

use futures::StreamExt;
use futures::stream::iter;

use crate::Error;
use crate::model::{ChatChunk, ChatStream};

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Leaves out of a stream of text what stands between `<think>` and `</think>` before the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thoughts {
    state: State,
    /// Text of which is not known yet what it is.
    held: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but space was written.
    Begins,
    /// Within the thoughts.
    Thinks,
    /// After them; nothing but space was written since.
    HasThought,
    /// All that comes is the answer.
    Answers,
}

impl Thoughts {
    /// There are none: all text is the answer.
    pub fn none() -> Self {
        Self { state: State::Answers, held: String::new() }
    }

    /// What may be written after this prompt. Some templates have the model think whatever they are told: their prompts end
    /// within the thoughts.
    pub fn after(prompt: &str) -> Self {
        let state = if prompt.trim_end().ends_with(OPEN) { State::Thinks } else { State::Begins };
        Self { state, held: String::new() }
    }

    /// What of the text that comes now, and of what was held back, is the answer's.
    pub fn without(&mut self, text: &str) -> String {
        if self.state == State::Answers {
            return text.to_owned();
        }
        self.held.push_str(text);
        if self.state == State::Begins {
            let begun = self.held.trim_start();
            if let Some(thought) = begun.strip_prefix(OPEN) {
                (self.state, self.held) = (State::Thinks, thought.to_owned());
            } else if !OPEN.starts_with(begun) {
                self.state = State::Answers;
            }
        }
        if self.state == State::Thinks
            && let Some((_, rest)) = self.held.split_once(CLOSE)
        {
            (self.state, self.held) = (State::HasThought, rest.to_owned());
        }
        if self.state == State::HasThought {
            self.held = self.held.trim_start().to_owned();
            if !self.held.is_empty() {
                self.state = State::Answers;
            }
        }
        match self.state {
            State::Answers => std::mem::take(&mut self.held),
            _ => String::new(),
        }
    }

    /// What was held back and is the answer's, once nothing comes any more.
    pub fn rest(&mut self) -> String {
        match self.state {
            State::Begins => std::mem::take(&mut self.held),
            _ => String::new(),
        }
    }
}

/// The answer of a model whose prompt is not known, without what it thinks before.
pub(crate) fn without_thoughts(answer: ChatStream) -> ChatStream {
    let mut thoughts = Thoughts::after("");
    let items = move |item: Result<ChatChunk, Error>| {
        let (text, last) = match item {
            Ok(ChatChunk::Text(text)) => (thoughts.without(&text), None),
            last => (thoughts.rest(), Some(last)),
        };
        let text = (!text.is_empty()).then_some(Ok(ChatChunk::Text(text)));
        iter(text.into_iter().chain(last))
    };
    answer.flat_map(items).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer, if the text comes letter by letter.
    fn answer(mut thoughts: Thoughts, text: &str) -> String {
        let mut found: String = text.chars().map(|letter| thoughts.without(&letter.to_string())).collect();
        found.push_str(&thoughts.rest());
        found
    }

    #[test]
    fn what_is_thought_before_the_answer_is_left_out() {
        let closed = "assistant\n<think>\n\n</think>\n\n";
        for (prompt, text, expected) in [
            ("assistant\n", "<think>hm</think>\n\nSo.", "So."),
            ("assistant\n", "\n<think>hm</think> So.", "So."),
            ("assistant\n<think>\n", "hm\n</think>\n\nSo.", "So."),
            // It never comes to an answer.
            ("assistant\n<think>\n", "hm, and hm", ""),
            (closed, "So.", "So."),
            (closed, "<thin air>", "<thin air>"),
            (closed, " <thi", " <thi"),
            (closed, "So <think>it</think> is.", "So <think>it</think> is."),
        ] {
            assert_eq!(answer(Thoughts::after(prompt), text), expected, "{prompt:?}, {text:?}");
        }
        assert_eq!(answer(Thoughts::none(), "<think>hm</think>"), "<think>hm</think>");
    }
}
