//! Text within a block, as it grows.

use super::blocks::longest_run;
use crate::{characters, markdown};

/// Lines of text. White space is collapsed as a browser does; text that would be read as markup is escaped.
#[derive(Debug, Default)]
pub(super) struct Inline {
    text: String,
}

impl Inline {
    /// Appends a text node's text.
    pub(super) fn text(&mut self, text: &str) {
        for (index, character) in text.char_indices() {
            match character {
                ' ' | '\t' | '\n' | '\r' | '\u{c}' | '\u{a0}' => self.space(),
                '\u{2028}' | '\u{2029}' => self.line_break(),
                '<' | '!' if markdown::is_markup(&text[index..]) => {
                    self.escape();
                    self.text.push(character);
                }
                _ => self.text.push(character),
            }
        }
    }

    /// A backslash, unless an uneven number of them stands there already.
    fn escape(&mut self) {
        let backslashes = self.text.bytes().rev().take_while(|byte| *byte == b'\\').count();
        if backslashes.is_multiple_of(2) {
            self.text.push('\\');
        }
    }

    fn space(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
            self.text.push(' ');
        }
    }

    /// Ends the line.
    pub(super) fn line_break(&mut self) {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
    }

    /// Appends an image's alternative text; nothing if it has none.
    pub(super) fn image(&mut self, alternative: &str) {
        let alternative = super::page::one_line(alternative);
        if alternative.is_empty() {
            return;
        }
        // `!` and `[` side by side would be an image of Markdown.
        if self.text.ends_with('!') {
            self.space();
        }
        self.text.push('[');
        self.text(&alternative);
        self.text.push(']');
    }

    /// Appends a code span.
    pub(super) fn code(&mut self, code: &str) {
        let inner = code.split_whitespace().collect::<Vec<_>>().join(" ");
        if code.starts_with(char::is_whitespace) {
            self.space();
        }
        if inner.is_empty() {
            return;
        }
        let fence = "`".repeat(longest_run(&inner, '`') + 1);
        let padding = if inner.starts_with('`') || inner.ends_with('`') { " " } else { "" };
        // Beside another backtick the span would start elsewhere.
        if self.text.ends_with('`') {
            self.space();
        }
        self.text.push_str(&format!("{fence}{padding}{inner}{padding}{fence}"));
        if code.ends_with(char::is_whitespace) {
            self.space();
        }
    }

    /// The lines so far, none if there are none, and starts anew.
    pub(super) fn take(&mut self) -> Option<String> {
        // An invisible character at the start would hide from the escaping what is markup once it is gone.
        let text = characters::prose(&std::mem::take(&mut self.text));
        let mut out = String::with_capacity(text.len());
        for line in text.trim().lines().map(str::trim) {
            if line.is_empty() && out.ends_with("\n\n") {
                continue;
            }
            out.push_str(&markdown::escape_block_start(line));
            out.push('\n');
        }
        out.truncate(out.trim_end_matches('\n').len());
        (!out.is_empty()).then_some(out)
    }
}
