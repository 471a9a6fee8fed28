//! Markdown line by line: which lines are code and keep their bytes, and which are prose.
//!
//! A pragmatic subset of CommonMark 0.31's block structure: fences (also in quotes and list items), indented code
//! outside lists, `<pre>` blocks, and `<script>` and `<style>` blocks, which are dropped.

use std::ops::Range;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Prose,
    Code,
    Dropped,
}

/// Whole lines of one kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
}

/// An open fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fence {
    mark: u8,
    length: usize,
    quote_depth: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Prose,
    Fence(Fence),
    /// In an HTML block that ends with this text.
    HtmlBlock(Kind, &'static str),
}

/// Splits the text into its lines of prose and of code; together they are the text.
pub(super) fn segments(text: &str) -> Vec<Segment<'_>> {
    let mut classifier = Classifier::new(text);
    let mut kinds: Vec<(Kind, Range<usize>)> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let range = start..start + line.len();
        start = range.end;
        let kind = classifier.classify(line, range.start);
        // Empty lines between two lines of indented code are code.
        if kind == Kind::Code && classifier.in_indented_code {
            let is_blank = |range: &Range<usize>| text[range.clone()].trim().is_empty();
            let blanks = kinds.iter().rev().take_while(|(_, range)| is_blank(range)).count();
            let first_blank = kinds.len() - blanks;
            if first_blank > 0 && kinds[first_blank - 1].0 == Kind::Code && classifier.continues_indented_code {
                kinds[first_blank..].iter_mut().for_each(|(kind, _)| *kind = Kind::Code);
            }
        }
        kinds.push((kind, range));
    }
    merge(text, kinds)
}

fn merge(text: &str, kinds: Vec<(Kind, Range<usize>)>) -> Vec<Segment<'_>> {
    let mut merged: Vec<(Kind, Range<usize>)> = Vec::new();
    for (kind, range) in kinds {
        match merged.last_mut() {
            Some((last, whole)) if *last == kind => whole.end = range.end,
            _ => merged.push((kind, range)),
        }
    }
    merged.into_iter().map(|(kind, range)| Segment { kind, text: &text[range] }).collect()
}

struct Classifier {
    state: State,
    in_list: bool,
    after_blank: bool,
    in_indented_code: bool,
    continues_indented_code: bool,
    /// Where the last `-->`, `</pre`, … of the text stands: without one after it, nothing opens a block.
    last_ends: Vec<(&'static str, usize)>,
}

const COMMENT_END: &str = "-->";

/// Elements whose content is not Markdown: how they start, what becomes of them, how they end.
const HTML_BLOCKS: [(&str, Kind, &str); 4] = [
    ("<pre", Kind::Code, "</pre"),
    ("<textarea", Kind::Code, "</textarea"),
    ("<script", Kind::Dropped, "</script"),
    ("<style", Kind::Dropped, "</style"),
];

impl Classifier {
    fn new(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        let ends = HTML_BLOCKS.iter().map(|(_, _, end)| *end).chain([COMMENT_END]);
        Self {
            state: State::Prose,
            in_list: false,
            after_blank: true,
            in_indented_code: false,
            continues_indented_code: false,
            last_ends: ends.filter_map(|end| Some((end, lower.rfind(end)?))).collect(),
        }
    }

    fn classify(&mut self, line: &str, offset: usize) -> Kind {
        match self.state {
            State::Fence(fence) if quote_depth(line) >= fence.quote_depth => {
                if fence.is_closed_by(line) {
                    self.state = State::Prose;
                }
                Kind::Code
            }
            State::HtmlBlock(kind, end) => {
                if contains_ignoring_case(line, end) {
                    self.state = State::Prose;
                }
                kind
            }
            // A fence in a quote ends with the quote.
            State::Fence(_) | State::Prose => {
                self.state = State::Prose;
                self.classify_start(line, offset)
            }
        }
    }

    /// A line that no open block claims.
    fn classify_start(&mut self, line: &str, offset: usize) -> Kind {
        let was_indented_code = std::mem::take(&mut self.in_indented_code);
        if line.trim().is_empty() {
            self.in_indented_code = was_indented_code;
            self.after_blank = true;
            return Kind::Prose;
        }
        let may_be_indented_code = (self.after_blank || was_indented_code) && !self.in_list;
        if may_be_indented_code && is_indented(line) {
            self.in_indented_code = true;
            self.continues_indented_code = was_indented_code;
            self.after_blank = false;
            return Kind::Code;
        }
        let after_blank = std::mem::replace(&mut self.after_blank, false);
        if let Some((_, fence)) = fence_start(line) {
            self.state = State::Fence(fence);
            self.after_blank = true;
            return Kind::Code;
        }
        if let Some(kind) = self.html_block(line, offset) {
            return kind;
        }
        if list_marker(line.trim_start()).is_some() {
            self.in_list = true;
        } else if after_blank && !line.starts_with([' ', '\t']) {
            self.in_list = false;
        }
        Kind::Prose
    }

    fn html_block(&mut self, line: &str, offset: usize) -> Option<Kind> {
        let trimmed = line.trim_start();
        let block = offset + (line.len() - trimmed.len());
        if trimmed.starts_with("<!--") {
            if self.open_block(trimmed, 4, block, Kind::Prose, COMMENT_END) {
                return Some(Kind::Prose);
            }
            return None;
        }
        for (start, kind, end) in HTML_BLOCKS {
            let rest = trimmed.get(start.len()..);
            let is_start = trimmed.get(..start.len()).is_some_and(|name| name.eq_ignore_ascii_case(start))
                && rest.is_some_and(|rest| rest.starts_with(['>', ' ', '\t', '\n', '/']));
            if is_start && self.open_block(trimmed, start.len(), block, kind, end) {
                return Some(kind);
            }
        }
        None
    }

    /// Whether the block ends somewhere; on a later line, it stays open.
    fn open_block(&mut self, line: &str, start_length: usize, offset: usize, kind: Kind, end: &'static str) -> bool {
        if contains_ignoring_case(&line[start_length..], end) {
            return true;
        }
        let ends = self.last_ends.iter().any(|(text, position)| *text == end && *position > offset);
        if ends {
            self.state = State::HtmlBlock(kind, end);
        }
        ends
    }
}

impl Fence {
    fn is_closed_by(self, line: &str) -> bool {
        let content = skip_quotes(line, self.quote_depth).trim();
        content.len() >= self.length && content.bytes().all(|byte| byte == self.mark)
    }
}

/// The fence that a line opens, and where in the line it stands. List markers and quotes may precede it.
fn fence_start(line: &str) -> Option<(usize, Fence)> {
    let mut quote_depth = 0;
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if let Some(quoted) = rest.strip_prefix('>') {
            quote_depth += 1;
            rest = quoted;
        } else if let Some(length) = list_marker(rest) {
            rest = &rest[length..];
        } else {
            break;
        }
    }
    let mark = *rest.as_bytes().first()?;
    let length = rest.bytes().take_while(|byte| *byte == mark).count();
    let is_fence = length >= 3 && (mark == b'~' || (mark == b'`' && !rest[length..].contains('`')));
    is_fence.then(|| (line.len() - rest.len(), Fence { mark, length, quote_depth }))
}

/// Length of the list marker, with the space after it, that the text starts with.
fn list_marker(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let marker = match text.as_bytes().get(digits)? {
        b'-' | b'*' | b'+' if digits == 0 => 1,
        b'.' | b')' if (1..=9).contains(&digits) => digits + 1,
        _ => return None,
    };
    matches!(text.as_bytes().get(marker), Some(b' ' | b'\t')).then_some(marker + 1)
}

fn quote_depth(line: &str) -> usize {
    line.chars().take_while(|c| matches!(c, ' ' | '\t' | '>')).filter(|c| *c == '>').count()
}

fn skip_quotes(line: &str, depth: usize) -> &str {
    let mut rest = line;
    for _ in 0..depth {
        rest = rest.trim_start_matches([' ', '\t']).strip_prefix('>').unwrap_or(rest);
    }
    rest
}

fn is_indented(line: &str) -> bool {
    line.starts_with("    ") || line.trim_start_matches(' ').starts_with('\t')
}

fn contains_ignoring_case(line: &str, lower: &str) -> bool {
    line.as_bytes().windows(lower.len()).any(|window| window.eq_ignore_ascii_case(lower.as_bytes()))
}

/// A line of text that would be read as a heading or the start of a code block gets a backslash.
pub(crate) fn escape_block_start(line: &str) -> String {
    let hashes = line.bytes().take_while(|byte| *byte == b'#').count();
    let is_heading = (1..=6).contains(&hashes) && matches!(line.as_bytes().get(hashes), None | Some(b' '));
    let position = if is_heading { Some(0) } else { fence_start(line).map(|(position, _)| position) };
    match position {
        Some(position) => format!("{}\\{}", &line[..position], &line[position..]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        segments(text).iter().filter(|s| s.kind == Kind::Code).map(|s| s.text).collect()
    }

    #[test]
    fn fences_are_code_at_the_top_in_quotes_and_in_lists() {
        assert_eq!(code("a\n```rust\n  x\n```\nb\n"), "```rust\n  x\n```\n");
        assert_eq!(code("~~~~\n~~~\n```\n~~~~\nb"), "~~~~\n~~~\n```\n~~~~\n");
        assert_eq!(code("> ```\n> x\n> ```\nb"), "> ```\n> x\n> ```\n");
        assert_eq!(code("- a\n\n  ```\n  x\n  ```\n- b"), "  ```\n  x\n  ```\n");
        assert_eq!(code("1. ```\n   x\n   ```\nb"), "1. ```\n   x\n   ```\n");
    }

    #[test]
    fn a_fence_in_a_quote_ends_with_the_quote() {
        assert_eq!(code("> ```\n> x\nafter\n"), "> ```\n> x\n");
    }

    #[test]
    fn indented_lines_are_code_outside_paragraphs_and_lists_only() {
        assert_eq!(code("a\n\n    x\n\n\n    y\n\nb"), "    x\n\n\n    y\n");
        assert_eq!(code("a\n    x\n"), "");
        assert_eq!(code("- a\n\n    b\n"), "");
    }

    #[test]
    fn inline_backticks_open_no_fence() {
        assert_eq!(code("```a``` b\nc\n"), "");
    }

    #[test]
    fn html_blocks_keep_or_lose_their_content() {
        assert_eq!(code("<pre>\n# no heading\n</pre>\nb\n"), "<pre>\n# no heading\n</pre>\n");
        let kinds: Vec<Kind> = segments("<style>\np {}\n</style>\ntext\n").iter().map(|s| s.kind).collect();
        assert_eq!(kinds, [Kind::Dropped, Kind::Prose]);
        assert_eq!(code("<!--\n```\n-->\ntext\n"), "");
    }

    #[test]
    fn segments_cover_the_text() {
        let text = "# a\n\n```\nx\n```\n\n    y\n<script>z</script>\nlast";
        let whole: String = segments(text).iter().map(|s| s.text).collect();
        assert_eq!(whole, text);
    }
}
