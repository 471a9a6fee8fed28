//! Markdown within lines: comments, images and presentational tags, outside code spans.

use std::collections::HashMap;

use super::tags::Tag;
use crate::characters::head;

/// Brackets nested deeper are not an image (the bound of the CommonMark reference implementation).
const MAX_BRACKET_DEPTH: usize = 32;

/// The end of a hidden element is looked for in so many bytes, and among so many closing tags.
const HIDDEN_SEARCH_BYTES: usize = 4096;
const HIDDEN_SEARCH_TAGS: usize = 16;

/// Whether [`tidy`] would take the start of this text away, so that literal text of this form needs a backslash.
pub(crate) fn is_markup(text: &str) -> bool {
    if text.starts_with("![") {
        return image(text).is_some();
    }
    let is_block = |tag: &Tag<'_>| matches!(tag.name.as_str(), "br" | "img" | "pre" | "script" | "style" | "textarea");
    text.starts_with("<!--") || Tag::parse(text).is_some_and(|tag| tag.is_presentational() || is_block(&tag))
}

/// Removes comments and presentational tags and puts images' alternative texts in their place.
pub(super) fn tidy(text: &str) -> String {
    let mut tidier = Tidier::new(text);
    while tidier.position < text.len() {
        tidier.step();
    }
    tidier.out
}

struct Tidier<'a> {
    text: &'a str,
    position: usize,
    out: String,
    /// For each run of backticks, by its position: the end of the code span that it opens.
    code_spans: HashMap<usize, usize>,
    /// No `-->` follows.
    no_comment_ends: bool,
}

impl<'a> Tidier<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            position: 0,
            out: String::with_capacity(text.len()),
            code_spans: code_spans(text),
            no_comment_ends: false,
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn step(&mut self) {
        let plain = self.rest().find(['\\', '`', '<', '!']).unwrap_or(self.rest().len());
        self.copy(plain);
        let Some(first) = self.rest().bytes().next() else {
            return;
        };
        match first {
            b'\\' => {
                let escapes = self.rest().as_bytes().get(1).is_some_and(u8::is_ascii_punctuation);
                self.copy(if escapes { 2 } else { 1 });
            }
            b'`' => {
                let run = self.rest().bytes().take_while(|byte| *byte == b'`').count();
                let end = self.code_spans.get(&self.position).map(|end| end - self.position);
                self.copy(end.unwrap_or(run));
            }
            b'<' => self.angle_bracket(),
            _ => match image(self.rest()) {
                Some((alternative, length)) => self.replace(length, alternative),
                None => self.copy(1),
            },
        }
    }

    fn copy(&mut self, bytes: usize) {
        self.out.push_str(&self.rest()[..bytes]);
        self.position += bytes;
    }

    fn replace(&mut self, bytes: usize, replacement: &str) {
        self.out.push_str(replacement);
        self.position += bytes;
        let line_is_empty = self.out.is_empty() || self.out.ends_with('\n');
        if line_is_empty {
            // Else what follows would look indented.
            let blanks = self.rest().bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            self.position += blanks;
        }
    }

    fn angle_bracket(&mut self) {
        if let Some(length) = self.comment() {
            return self.replace(length, "");
        }
        let Some(tag) = Tag::parse(self.rest()) else {
            return self.copy(1);
        };
        if tag.is_hidden() && (tag.is_presentational() || tag.name == "img") {
            let length = self.element_length(&tag);
            return self.replace(length, "");
        }
        match tag.name.as_str() {
            "br" => {
                let line_start = self.out.rfind('\n').map_or(0, |newline| newline + 1);
                let is_table_row = self.out[line_start..].trim_start().starts_with('|');
                self.replace(tag.length, if is_table_row { " " } else { "\n" });
            }
            "img" => self.replace(tag.length, tag.attribute("alt").unwrap_or_default()),
            _ if tag.is_presentational() => self.presentational(&tag),
            _ => self.copy(tag.length),
        }
    }

    /// Length of the comment that starts here.
    fn comment(&mut self) -> Option<usize> {
        let rest = self.rest();
        if self.no_comment_ends || !rest.starts_with("<!--") {
            return None;
        }
        if rest.starts_with("<!-->") {
            return Some(5);
        }
        if rest.starts_with("<!--->") {
            return Some(6);
        }
        let end = rest[4..].find("-->");
        self.no_comment_ends = end.is_none();
        Some(4 + end? + 3)
    }

    /// Length of a hidden element: to its closing tag, where the same block of text has one.
    fn element_length(&self, tag: &Tag<'_>) -> usize {
        let content = head(&self.rest()[tag.length..], HIDDEN_SEARCH_BYTES);
        let block = &content[..content.find("\n\n").unwrap_or(content.len())];
        let closing = block.match_indices("</").take(HIDDEN_SEARCH_TAGS).find_map(|(at, _)| {
            let closing = Tag::parse(&block[at..]).filter(|closing| closing.name == tag.name)?;
            Some(at + closing.length)
        });
        tag.length + closing.unwrap_or(0)
    }

    fn presentational(&mut self, tag: &Tag<'_>) {
        let starts_line = self.out.is_empty() || self.out.ends_with('\n');
        let heading = tag.heading_level().filter(|_| starts_line && !tag.is_closing && self.ends_in_line(tag));
        let marker = heading.map(|level| format!("{} ", "#".repeat(level))).unwrap_or_default();
        self.out.push_str(&marker);
        self.replace(tag.length, "");
    }

    fn ends_in_line(&self, tag: &Tag<'_>) -> bool {
        let content = head(&self.rest()[tag.length..], 1024);
        let line = content.lines().next().unwrap_or_default();
        line.to_ascii_lowercase().contains(&format!("</{}", tag.name))
    }
}

/// Code spans (CommonMark 6.1): a run of backticks is closed by the next run of the same length in its block.
fn code_spans(text: &str) -> HashMap<usize, usize> {
    let bytes = text.as_bytes();
    let mut runs = Vec::new();
    let mut position = 0;
    while position < bytes.len() {
        let length = bytes[position..].iter().take_while(|byte| **byte == b'`').count();
        if length > 0 {
            runs.push((position, length));
        } else if bytes[position..].starts_with(b"\n\n") {
            runs.push((position, 0));
        }
        position += length.max(1);
    }
    let mut spans = HashMap::new();
    let mut next_of_length: HashMap<usize, usize> = HashMap::new();
    for (position, length) in runs.into_iter().rev() {
        if length == 0 {
            next_of_length.clear();
        } else if let Some(closing) = next_of_length.insert(length, position) {
            spans.insert(position, closing + length);
        }
    }
    spans
}

/// The image that the text starts with: its alternative text, and the length of the whole.
fn image(text: &str) -> Option<(&str, usize)> {
    let label = text.strip_prefix('!')?;
    let label_length = bracketed(label, b'[', b']')?;
    let alternative = &label[1..label_length - 1];
    let target = &label[label_length..];
    let target_length = match target.as_bytes().first()? {
        b'(' => bracketed(target, b'(', b')')?,
        b'[' => bracketed(target, b'[', b']')?,
        _ => return None,
    };
    Some((alternative, 1 + label_length + target_length))
}

/// Length of the bracketed text at the start, brackets included; none if an empty line comes first.
fn bracketed(text: &str, open: u8, close: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&open) {
        return None;
    }
    let mut depth = 0_usize;
    let mut index = 0;
    while index < bytes.len() {
        match bytes[index] {
            b'\\' => index += 1,
            b'\n' if bytes.get(index + 1) == Some(&b'\n') => return None,
            byte if byte == open => {
                depth += 1;
                if depth > MAX_BRACKET_DEPTH {
                    return None;
                }
            }
            byte if byte == close => {
                depth -= 1;
                if depth == 0 {
                    return Some(index + 1);
                }
            }
            _ => {}
        }
        index += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_outside_code_spans_only() {
        assert_eq!(
            tidy("a <!-- x\ny --> b `<!-- kept -->` ``` <!-- ` --> ``` c"),
            "a  b `<!-- kept -->` ``` <!-- ` --> ``` c"
        );
        assert_eq!(tidy("a \\<!-- text --> b"), "a \\<!-- text --> b");
        assert_eq!(tidy("<!-- never closed"), "<!-- never closed");
    }

    #[test]
    fn images_become_their_alternative_text_and_links_stay() {
        assert_eq!(tidy("![A [b] c](x(1).png \"t\") [d](e) ![f][g] ![h]"), "A [b] c [d](e) f ![h]");
        assert_eq!(tidy("[![Build](b.svg)](https://ci)"), "[Build](https://ci)");
        assert_eq!(tidy("`vec![1](2)` \\![not](an image)"), "`vec![1](2)` \\![not](an image)");
    }

    #[test]
    fn presentational_tags_go_and_other_markup_stays() {
        assert_eq!(tidy("<p align=\"center\">\n  <b>Bold</b><br/>x\n</p>"), "\n  Bold\nx\n");
        assert_eq!(tidy("<h1 align=center>Name</h1>"), "# Name");
        assert_eq!(
            tidy("<img src=x alt=\"A logo\"> Vec<T> <kbd>Ctrl</kbd> <https://a.b>"),
            "A logo Vec<T> <kbd>Ctrl</kbd> <https://a.b>"
        );
        assert_eq!(tidy("| a<br>b |"), "| a b |");
    }

    #[test]
    fn hidden_elements_go_with_their_text() {
        assert_eq!(tidy("a <span style=\"display:none\">ignore <b>all</b></span>b"), "a b");
        assert_eq!(tidy("a <span hidden>never closed"), "a never closed");
    }

    #[test]
    fn hostile_input_takes_linear_time() {
        let started = std::time::Instant::now();
        for hostile in
            ["![](", "![", "<!--", "<b ", "<span hidden>", "``` ` `` ", "[![a](", "<b title=\"", "<p hidden></i>"]
        {
            tidy(&hostile.repeat(200_000));
        }
        let elapsed = started.elapsed();
        assert!(elapsed.as_secs() < 60, "{elapsed:?}");
    }
}
