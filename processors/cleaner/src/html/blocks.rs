//! Blocks of text, and how they are written as Markdown.

/// Quotes and lists nested deeper are written without further markers: each level repeats its prefix on every line,
/// and the text must not outgrow the page.
const MAX_NESTING: usize = 12;

/// A block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// Lines of text.
    Paragraph(String),
    /// A heading of level 1 to 6, on one line.
    Heading(usize, String),
    /// Code, exactly.
    Code {
        /// What it is written in, where the page says so.
        language: Option<String>,
        /// Without a newline at the end.
        text: String,
    },
    /// A quotation.
    Quote(Vec<Block>),
    /// A list.
    List {
        /// The first number of a numbered list.
        start: Option<u64>,
        /// The items.
        items: Vec<Vec<Block>>,
    },
    /// A table, the heading row first. Cells are single lines.
    Table(Vec<Vec<String>>),
    /// A horizontal rule.
    Rule,
}

/// Writes blocks as Markdown, one empty line between two.
pub(super) fn write(blocks: &[Block]) -> String {
    let mut writer = Writer::default();
    writer.blocks(blocks);
    writer.out
}

/// The text of blocks on one line, for headings and table cells.
pub(super) fn flatten(blocks: &[Block]) -> String {
    super::page::one_line(&write_plain(blocks))
}

fn write_plain(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        match block {
            Block::Paragraph(text) | Block::Heading(_, text) | Block::Code { text, .. } => out.push_str(text),
            Block::Quote(inner) => out.push_str(&write_plain(inner)),
            Block::List { items, .. } => items.iter().for_each(|item| out.push_str(&format!("{} ", write_plain(item)))),
            Block::Table(rows) => rows.iter().for_each(|row| out.push_str(&format!("{} ", row.join(" ")))),
            Block::Rule => {}
        }
        out.push(' ');
    }
    out
}

#[derive(Default)]
struct Writer {
    out: String,
    /// What each line starts with.
    prefix: String,
    /// What the next line starts with instead: a list marker.
    first_prefix: Option<String>,
    nesting: usize,
}

impl Writer {
    fn line(&mut self, text: &str) {
        let prefix = self.first_prefix.take();
        let prefix = prefix.as_deref().unwrap_or(&self.prefix);
        self.out.push_str(if text.is_empty() { prefix.trim_end() } else { prefix });
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn blocks(&mut self, blocks: &[Block]) {
        let mut previous: Option<&Block> = None;
        for block in blocks {
            // In a list item, an inner list follows its text without an empty line.
            let is_tight = self.nesting > 0
                && matches!((previous, block), (Some(Block::Paragraph(_)), Block::List { .. }))
                && !self.prefix.is_empty();
            if previous.is_some() && !is_tight {
                self.line("");
            }
            self.block(block);
            previous = Some(block);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Paragraph(text) => text.split('\n').for_each(|line| self.line(line)),
            Block::Heading(level, text) => self.line(&format!("{} {text}", "#".repeat(*level))),
            Block::Code { language, text } => self.code(language.as_deref(), text),
            Block::Quote(inner) => self.nested("> ", "> ", inner),
            Block::List { start, items } => self.list(*start, items),
            Block::Table(rows) => self.table(rows),
            Block::Rule => self.line("---"),
        }
    }

    fn code(&mut self, language: Option<&str>, text: &str) {
        let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
        self.line(&format!("{fence}{}", language.unwrap_or_default()));
        text.split('\n').for_each(|line| self.line(line));
        self.line(&fence);
    }

    fn list(&mut self, start: Option<u64>, items: &[Vec<Block>]) {
        for (index, item) in items.iter().enumerate() {
            let marker = match start {
                Some(first) => format!("{}. ", first.saturating_add(index as u64)),
                None => "- ".to_owned(),
            };
            self.nested(&marker, &" ".repeat(marker.len()), item);
        }
    }

    fn nested(&mut self, first: &str, rest: &str, blocks: &[Block]) {
        if self.nesting >= MAX_NESTING {
            return self.blocks(blocks);
        }
        let outer = self.prefix.len();
        let start = self.first_prefix.take().unwrap_or_else(|| self.prefix.clone());
        self.first_prefix = Some(format!("{start}{first}"));
        self.prefix.push_str(rest);
        self.nesting += 1;
        self.blocks(blocks);
        self.nesting -= 1;
        self.prefix.truncate(outer);
        self.first_prefix = None;
    }

    fn table(&mut self, rows: &[Vec<String>]) {
        for (index, row) in rows.iter().enumerate() {
            self.line(&format!("| {} |", row.join(" | ")));
            if index == 0 {
                self.line(&format!("|{}", " --- |".repeat(row.len())));
            }
        }
    }
}

/// Length of the longest run of a character.
pub(super) fn longest_run(text: &str, character: char) -> usize {
    text.split(|c| c != character).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paragraph(text: &str) -> Block {
        Block::Paragraph(text.to_owned())
    }

    #[test]
    fn nested_blocks_carry_their_prefixes() {
        let inner =
            Block::List { start: None, items: vec![vec![paragraph("b")], vec![paragraph("c"), paragraph("d")]] };
        let code = Block::Code { language: Some("rust".into()), text: "x\n\n  y".into() };
        let list = Block::List { start: Some(9), items: vec![vec![paragraph("a"), inner], vec![code.clone()]] };
        assert_eq!(
            write(&[list, Block::Quote(vec![paragraph("q"), code])]),
            "9. a\n   - b\n   - c\n\n     d\n10. ```rust\n    x\n\n      y\n    ```\n\n\
             > q\n>\n> ```rust\n> x\n>\n>   y\n> ```\n"
        );
    }

    #[test]
    fn a_fence_is_longer_than_any_in_the_code() {
        let code = Block::Code { language: None, text: "````\nx".into() };
        assert_eq!(write(&[code]), "`````\n````\nx\n`````\n");
    }
}
