//! What a text's lines say about where it may be cut. Filled in by [`crate::markdown`] and [`crate::code`].

use std::ops::Range;

/// How good a place is for a cut, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// Inside a word: its parts have other tokens than the whole.
    InsideWord,
    /// Between two words without space, or where a cut would part what belongs together: a heading from its text,
    /// a closing fence from its code.
    Word,
    /// At white space.
    Space,
    /// After a sentence.
    Sentence,
    /// At the start of a line, a list item included.
    Line,
    /// After a blank line inside a fenced code block.
    BlankInFence,
    /// At the start of a paragraph or another block; in code after a blank line.
    Block,
    /// At a heading.
    Heading,
}

/// The start of a line that has content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineStart {
    /// The line's first byte.
    pub byte: usize,
    /// How good a cut is here.
    pub rank: Rank,
    /// In code, the line's indentation in columns: among places of one rank the least indented is best, so that
    /// statements stay whole. In prose 0.
    pub indent: u16,
}

/// The lines of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Structure {
    /// Lines with content, in order.
    pub lines: Vec<LineStart>,
    /// Bytes that are code: no sentences in there. In order, apart from each other.
    pub verbatim: Vec<Range<usize>>,
    /// The whole text is code: its verbatim range is no block to be kept together.
    pub is_code: bool,
}

/// The lines of a text with the position of each; the line break is part of its line.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |position, line| {
        let start = *position;
        *position += line.len();
        Some((start, line))
    })
}

/// The structure of code as far as lines tell it.
pub(crate) fn of_code(text: &str) -> Structure {
    let whole = 0..text.len();
    let mut structure = Structure { lines: Vec::new(), verbatim: vec![whole], is_code: true };
    let mut after_blank = false;
    for (byte, line) in lines(text) {
        let content = line.trim();
        if content.is_empty() {
            after_blank = true;
            continue;
        }
        // A closing bracket stays with what it closes.
        let closes = content.starts_with(['}', ')', ']']);
        let rank = match (closes, after_blank) {
            (true, _) => Rank::Space,
            (false, true) => Rank::Block,
            (false, false) => Rank::Line,
        };
        structure.lines.push(LineStart { byte, rank, indent: indentation(line) });
        after_blank = false;
    }
    structure
}

/// Columns of white space before a line's content; a tab counts four.
fn indentation(line: &str) -> u16 {
    let columns: usize = line.chars().take_while(|c| c.is_whitespace()).map(|c| if c == '\t' { 4 } else { 1 }).sum();
    columns.min(usize::from(u16::MAX)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_code_a_blank_line_is_better_than_a_line_and_a_closing_bracket_is_worse() {
        let structure = of_code("a {\n  b\n\n  c\n}\n");
        let ranks: Vec<Rank> = structure.lines.iter().map(|line| line.rank).collect();
        assert_eq!(ranks, [Rank::Line, Rank::Line, Rank::Block, Rank::Space]);
    }
}
