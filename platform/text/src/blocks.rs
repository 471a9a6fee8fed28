//! The blocks of Markdown-like prose: as much of CommonMark as says what stands together, under which headings, and
//! what is somebody else's words.

use std::ops::Range;

use crate::markdown::{Fence, atx_heading, underline_level};
use crate::quotation_marks::closing;

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A paragraph or a list: may be cut between sentences.
    Text,
    /// Fenced code, with the lines of its fence. A fence that nothing closes goes to the end.
    Code,
    /// Rows that begin with a bar, the header among them.
    Table,
    /// Marked as a quotation: not the author's words.
    Quotation,
}

/// Lines that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Where it stands, without white space at its ends.
    pub range: Range<usize>,
    /// What it is.
    pub kind: Kind,
    /// Its section's index.
    pub section: usize,
}

/// Of a heading, characters that are kept.
const HEADING_CHARS: usize = 200;

/// A text's blocks in order, and its sections; section 0 is what stands above all headings.
pub struct Blocks {
    /// In order.
    pub blocks: Vec<Block>,
    sections: Vec<Section>,
}

/// A heading and the section that it stands in. Paths are put together when asked for: a text of many small sections
/// under long headings would be many times as large otherwise.
#[derive(Default)]
struct Section {
    parent: usize,
    level: usize,
    heading: String,
}

impl Blocks {
    /// The headings of a section, outermost first.
    pub fn heading_path(&self, section: usize) -> Vec<String> {
        let mut path = Vec::new();
        let mut at = section;
        while at != 0 {
            path.push(self.sections[at].heading.clone());
            at = self.sections[at].parent;
        }
        path.retain(|heading| !heading.is_empty());
        path.reverse();
        path
    }
}

/// Reads a text's lines once.
pub fn blocks(text: &str) -> Blocks {
    let mut reader = Reader { text, blocks: Vec::new(), sections: vec![Section::default()], open: None };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        reader.line(start, line);
        start += line.len();
    }
    reader.close();
    Blocks { blocks: reader.blocks, sections: reader.sections }
}

struct Reader<'a> {
    text: &'a str,
    blocks: Vec<Block>,
    sections: Vec<Section>,
    open: Option<Open>,
}

struct Open {
    range: Range<usize>,
    kind: Kind,
    lines: usize,
    /// Inside a fence.
    fence: Option<Fence>,
}

impl Reader<'_> {
    fn line(&mut self, start: usize, line: &str) {
        let content = line.trim();
        let end = start + line.len();
        if let Some(open) = self.open.as_mut().filter(|open| open.fence.is_some()) {
            open.range.end = end;
            if open.fence.is_some_and(|fence| fence.is_closed_by(content)) {
                self.close();
            }
        } else if content.is_empty() || is_rule(content) && !self.is_one_line() {
            self.close();
        } else if let Some(fence) = Fence::opened_by(content) {
            self.close();
            self.open = Some(Open { range: start..end, kind: Kind::Code, lines: 1, fence: Some(fence) });
        } else if let Some((level, heading)) = atx_heading(line) {
            self.close();
            self.heading(level, heading);
        } else if let Some(level) = underline_level(content).filter(|_| self.is_one_line()) {
            if let Some(open) = self.open.take() {
                let heading = self.text[open.range].trim().to_owned();
                self.heading(level, &heading);
            }
        } else {
            self.content(start, end, content);
        }
    }

    /// A line of a paragraph, a quotation or a table.
    fn content(&mut self, start: usize, end: usize, content: &str) {
        let open = self.open.as_ref().map(|open| open.kind);
        let kind = match (content.starts_with('>'), content.starts_with('|'), open) {
            (true, _, _) => Kind::Quotation,
            (false, true, _) => Kind::Table,
            // CommonMark 5.1: a paragraph in a quotation goes on without the mark.
            (false, false, Some(Kind::Quotation)) => Kind::Quotation,
            (false, false, _) => Kind::Text,
        };
        match self.open.as_mut() {
            Some(open) if open.kind == kind => {
                open.range.end = end;
                open.lines += 1;
            }
            _ => {
                self.close();
                self.open = Some(Open { range: start..end, kind, lines: 1, fence: None });
            }
        }
    }

    fn is_one_line(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.lines == 1 && open.kind == Kind::Text)
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let block = &self.text[open.range.clone()];
        let start = open.range.start + (block.len() - block.trim_start().len());
        let block = block.trim();
        let kind = if open.kind == Kind::Text && is_quoted(block) { Kind::Quotation } else { open.kind };
        if !block.is_empty() {
            self.blocks.push(Block { range: start..start + block.len(), kind, section: self.sections.len() - 1 });
        }
    }

    fn heading(&mut self, level: usize, text: &str) {
        let mut parent = self.sections.len() - 1;
        while parent != 0 && self.sections[parent].level >= level {
            parent = self.sections[parent].parent;
        }
        let words = text.split_whitespace().flat_map(|word| [" ", word]).skip(1);
        let heading: String = words.flat_map(str::chars).take(HEADING_CHARS).collect();
        // A heading without text ends the section before it and begins none.
        let section =
            if heading.is_empty() { Section { parent, level: 0, heading } } else { Section { parent, level, heading } };
        self.sections.push(section);
    }
}

/// Whether a whole paragraph stands in quotation marks, with or without a line that names its source.
fn is_quoted(paragraph: &str) -> bool {
    let last_line = paragraph.lines().next_back().unwrap_or("");
    let named = last_line.trim_start().starts_with(['—', '―', '–']) && last_line.len() < paragraph.len();
    let said = if named { paragraph[..paragraph.len() - last_line.len()].trim_end() } else { paragraph };
    let mut characters = said.chars();
    // The usual mark alone: the datasets that there are were made by it.
    let Some(mark) = characters.next().and_then(|opening| closing(opening).first().copied()) else { return false };
    let rest = characters.as_str();
    rest.find(mark).is_some_and(|at| at + mark.len_utf8() == rest.len())
}

/// A line that only parts what stands above from what stands below (CommonMark 4.1).
fn is_rule(content: &str) -> bool {
    let marks = content.chars().filter(|c| !c.is_whitespace());
    ['-', '*', '_'].into_iter().any(|mark| marks.clone().all(|c| c == mark) && marks.clone().take(3).count() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_stand_under_their_headings_and_quotations_are_marked() {
        let text = "Intro\nmore\n\n# One\n> said\nlazily\n\n## Two ##\n- item\n- item\n\n```\n# no heading\n\nx\n```\n\
                    after\n\nThree\n---\n| a |\n|---|\n\n---\n\n“All of it.”\n— Someone\n\n\"A\" and \"b\"\n";
        let read = blocks(text);
        let seen: Vec<(&str, Kind, Vec<String>)> = read
            .blocks
            .iter()
            .map(|block| (&text[block.range.clone()], block.kind, read.heading_path(block.section)))
            .collect();
        let two = ["One".to_owned(), "Two".to_owned()];
        let three = ["One".to_owned(), "Three".to_owned()];
        assert_eq!(
            seen,
            [
                ("Intro\nmore", Kind::Text, vec![]),
                ("> said\nlazily", Kind::Quotation, two[..1].to_vec()),
                ("- item\n- item", Kind::Text, two.to_vec()),
                ("```\n# no heading\n\nx\n```", Kind::Code, two.to_vec()),
                ("after", Kind::Text, two.to_vec()),
                ("| a |\n|---|", Kind::Table, three.to_vec()),
                ("“All of it.”\n— Someone", Kind::Quotation, three.to_vec()),
                ("\"A\" and \"b\"", Kind::Text, three.to_vec()),
            ]
        );
    }
}
