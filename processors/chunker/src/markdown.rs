//! The lines of prose: headings, fenced code, blocks. As much of CommonMark as says where not to cut.

use std::ops::Range;

use twin_text::markdown::{Fence, atx_heading, underline_level};

use crate::structure::{LineStart, Rank, Structure, lines};

/// A line of text that is at least this long may have been broken by an editor.
const WRAPPED_LINE_BYTES: usize = 60;

/// A heading of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heading {
    /// The first byte of its line.
    pub start: usize,
    /// One past the last byte of its line (for a heading that is underlined, of the underline).
    pub end: usize,
    /// 1 to 6.
    pub level: usize,
    /// Its text, without marks.
    pub text: String,
}

/// Reads a text's lines once.
pub(crate) fn scan(text: &str) -> (Structure, Vec<Heading>) {
    let mut scanner = Scanner { text, ..Scanner::default() };
    for (start, line) in lines(text) {
        scanner.line(start, line);
    }
    if let Some((_, opened)) = scanner.fence.take() {
        // CommonMark: a fence that nothing closes goes to the end.
        scanner.structure.verbatim.push(opened..text.len());
    }
    (scanner.structure, scanner.headings)
}

#[derive(Default)]
struct Scanner<'a> {
    text: &'a str,
    structure: Structure,
    headings: Vec<Heading>,
    /// The open fence, and where it began.
    fence: Option<(Fence, usize)>,
    /// What stands before the line.
    before: Before,
    /// The content of the last line of text.
    line_before: &'a str,
    /// The lines before belong to a heading that has no text below it yet.
    after_heading: bool,
    /// The line before, if it begins a paragraph: an underline makes it a heading.
    paragraph_line: Option<Range<usize>>,
}

#[derive(Default, PartialEq)]
enum Before {
    #[default]
    Blank,
    Line,
    /// The end of a fence: a block begins after it even without a blank line.
    Fence,
}

impl<'a> Scanner<'a> {
    fn line(&mut self, start: usize, line: &'a str) {
        let content = line.trim();
        let end = start + line.len();
        if self.fence.is_some() {
            return self.line_in_fence(start, end, content);
        }
        let paragraph_line = self.paragraph_line.take();
        if content.is_empty() {
            self.before = Before::Blank;
        } else if let Some(fence) = Fence::opened_by(content) {
            self.begin(start, Rank::Block);
            self.fence = Some((fence, start));
            self.before = Before::Line;
        } else if let Some((level, heading)) = atx_heading(line) {
            self.heading(start, end, level, heading.to_owned());
        } else if let (Some(first), Some(level)) = (paragraph_line, underline_level(content)) {
            self.underlined_heading(first, start, end, level);
        } else {
            let begins_block = self.before != Before::Line;
            let rank = match (begins_block, wraps(self.line_before, content)) {
                (true, _) => Rank::Block,
                (false, true) => Rank::Space,
                (false, false) => Rank::Line,
            };
            self.begin(start, rank);
            self.paragraph_line = (begins_block && !has_marker(content)).then_some(start..end);
            self.before = Before::Line;
            self.line_before = content;
        }
    }

    fn line_in_fence(&mut self, start: usize, end: usize, content: &str) {
        let Some((fence, opened)) = self.fence else { return };
        if content.is_empty() {
            self.before = Before::Blank;
            return;
        }
        if fence.is_closed_by(content) {
            self.structure.lines.push(LineStart { byte: start, rank: Rank::Word, indent: 0 });
            self.structure.verbatim.push(opened..end);
            self.fence = None;
            self.before = Before::Fence;
            return;
        }
        let rank = if self.before == Before::Blank { Rank::BlankInFence } else { Rank::Line };
        self.structure.lines.push(LineStart { byte: start, rank, indent: 0 });
        self.before = Before::Line;
    }

    /// A line that is no heading. Directly below a heading it is no place to cut.
    fn begin(&mut self, byte: usize, rank: Rank) {
        let rank = if self.after_heading { Rank::Word } else { rank };
        self.structure.lines.push(LineStart { byte, rank, indent: 0 });
        self.after_heading = false;
    }

    fn heading(&mut self, start: usize, end: usize, level: usize, text: String) {
        // Between two headings without text a cut would leave the first alone.
        let rank = if self.after_heading { Rank::Word } else { Rank::Heading };
        self.structure.lines.push(LineStart { byte: start, rank, indent: 0 });
        self.headings.push(Heading { start, end, level, text });
        self.after_heading = true;
        // The next line is a block of its own, with or without a blank line.
        self.before = Before::Blank;
    }

    fn underlined_heading(&mut self, first: Range<usize>, start: usize, end: usize, level: usize) {
        let text = self.text[first.clone()].trim().to_owned();
        if let Some(line) = self.structure.lines.last_mut() {
            // The line was taken for the begin of a paragraph; below a heading it keeps its bond with it.
            if line.rank == Rank::Block {
                line.rank = Rank::Heading;
            }
        }
        self.structure.lines.push(LineStart { byte: start, rank: Rank::Word, indent: 0 });
        self.headings.push(Heading { start: first.start, end, level, text });
        self.after_heading = true;
        self.before = Before::Blank;
    }
}

/// Whether a line goes on with the sentence of the line before, which was broken because it was long. Lines that
/// are meant, as in a poem or a list, are shorter, end a sentence or begin with a mark.
fn wraps(line_before: &str, content: &str) -> bool {
    line_before.len() >= WRAPPED_LINE_BYTES
        && !line_before.ends_with(['.', '!', '?', ':', ';', '…', '|', '\\'])
        && !has_marker(content)
}

/// Whether a line begins a list item, a quotation, a row of a table or an HTML block.
fn has_marker(content: &str) -> bool {
    let after_digits = content.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = after_digits.len() < content.len() && after_digits.starts_with(['.', ')']);
    numbered || content.starts_with(['-', '*', '+', '•', '>', '|', '<'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headings(text: &str) -> Vec<(usize, String)> {
        scan(text).1.into_iter().map(|heading| (heading.level, heading.text)).collect()
    }

    fn ranks(text: &str) -> Vec<(&str, Rank)> {
        let (structure, _) = scan(text);
        structure.lines.iter().map(|line| (text[line.byte..].lines().next().unwrap(), line.rank)).collect()
    }

    #[test]
    fn atx_and_underlined_headings_are_found_with_their_text() {
        let text = "# One #\n\nTwo\n---\nText\n\n###### Six\n#No\n####### No\n    # No\n\nThree #4\n===\n";
        let expected = [(1, "One"), (2, "Two"), (6, "Six"), (1, "Three #4")];
        assert_eq!(headings(text), expected.map(|(level, text)| (level, text.to_owned())));
    }

    #[test]
    fn what_looks_like_a_heading_in_a_fence_is_code() {
        assert_eq!(headings("```sh\n# comment\n~~~\n```\n# Real\n"), [(1, "Real".to_owned())]);
        assert_eq!(headings("~~~~\n# comment\n~~~\n# comment\n~~~~\n"), []);
        assert_eq!(headings("```not a fence```\n# Real\n").len(), 1);
        assert_eq!(scan("```\nnever closed").0.verbatim, std::slice::from_ref(&(0..16)));
    }

    #[test]
    fn a_rule_a_list_and_a_table_are_no_underlined_headings() {
        assert!(headings("text\n\n---\n\n- item\n---\n\n| a |\n|---|\n").is_empty());
    }

    #[test]
    fn a_wrapped_line_is_no_better_a_place_than_a_space() {
        let text =
            "This line of an article is long and was broken by the editor where\nit ended.\n- an item\nand more\n";
        let ranks: Vec<Rank> = ranks(text).into_iter().map(|(_, rank)| rank).collect();
        assert_eq!(ranks, [Rank::Block, Rank::Space, Rank::Line, Rank::Line]);
    }

    #[test]
    fn lines_are_ranked_by_what_they_begin() {
        let text = "Intro\nmore\n\n- item\n## Head\n\nbody\n\n```\ncode\n\nmore code\n```\nafter\n";
        assert_eq!(
            ranks(text),
            [
                ("Intro", Rank::Block),
                ("more", Rank::Line),
                ("- item", Rank::Block),
                ("## Head", Rank::Heading),
                ("body", Rank::Word),
                ("```", Rank::Block),
                ("code", Rank::Line),
                ("more code", Rank::BlankInFence),
                ("```", Rank::Word),
                ("after", Rank::Block),
            ]
        );
    }
}
