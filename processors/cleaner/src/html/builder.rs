//! The walk over the tree that makes blocks of elements.
//!
//! Recursion is bounded: [`super::parse`] lets no deeper tree pass.

use dom_query::NodeRef;

use super::blocks::{Block, flatten};
use super::inline::Inline;
use super::{preformatted, table};

/// Elements that stand on lines of their own and have nothing else to say.
const PLAIN_BLOCKS: [&str; 28] = [
    "p",
    "div",
    "section",
    "article",
    "main",
    "header",
    "footer",
    "aside",
    "nav",
    "figure",
    "figcaption",
    "details",
    "summary",
    "dl",
    "dt",
    "dd",
    "address",
    "center",
    "fieldset",
    "form",
    "legend",
    "hgroup",
    "body",
    "html",
    "li",
    "tr",
    "caption",
    "dialog",
];

/// The blocks of a node's content.
pub(super) fn build(node: &NodeRef<'_>) -> Vec<Block> {
    let mut builder = Builder::default();
    builder.children(node);
    builder.finish()
}

#[derive(Default)]
struct Builder {
    blocks: Vec<Block>,
    inline: Inline,
}

impl Builder {
    fn finish(mut self) -> Vec<Block> {
        self.end_paragraph();
        self.blocks
    }

    fn children(&mut self, node: &NodeRef<'_>) {
        for child in node.children_it(false) {
            if child.is_text() {
                self.inline.text(&child.text());
            } else if child.is_element() {
                self.element(&child);
            }
        }
    }

    fn end_paragraph(&mut self) {
        if let Some(text) = self.inline.take() {
            self.blocks.push(Block::Paragraph(text));
        }
    }

    fn push(&mut self, block: Block) {
        self.end_paragraph();
        self.blocks.push(block);
    }

    fn element(&mut self, node: &NodeRef<'_>) {
        let Some(name) = node.node_name() else { return };
        match &*name {
            "br" => self.inline.line_break(),
            "hr" => self.push(Block::Rule),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.heading(node, usize::from(name.as_bytes()[1] - b'0')),
            "pre" => self.code_block(node),
            "code" | "kbd" | "samp" | "tt" => self.code(node),
            "ul" | "ol" | "menu" => self.list(node, &name == "ol"),
            "blockquote" => self.quote(node),
            "table" => self.table(node),
            "img" => self.inline.image(&node.attr_or("alt", "")),
            "q" => {
                self.inline.text("\"");
                self.children(node);
                self.inline.text("\"");
            }
            "math" => self.formula(node),
            "a" if is_permalink(node) => {}
            "wbr" | "rt" | "rp" | "title" | "annotation" => {}
            name if PLAIN_BLOCKS.contains(&name) => {
                self.end_paragraph();
                self.children(node);
                self.end_paragraph();
            }
            _ => self.children(node),
        }
    }

    fn heading(&mut self, node: &NodeRef<'_>, level: usize) {
        let text = flatten(&build(node));
        self.end_paragraph();
        if !text.is_empty() {
            self.blocks.push(Block::Heading(level, text));
        }
    }

    fn code_block(&mut self, node: &NodeRef<'_>) {
        self.end_paragraph();
        self.blocks.extend(preformatted::code_block(node));
    }

    /// Code within a line; some sites write whole listings so, with `<br>`.
    fn code(&mut self, node: &NodeRef<'_>) {
        if node.find(&["br"]).is_empty() {
            self.inline.code(&node.text());
        } else {
            self.code_block(node);
        }
    }

    fn list(&mut self, node: &NodeRef<'_>, is_numbered: bool) {
        let mut items: Vec<Vec<Block>> = Vec::new();
        for child in node.children_it(false) {
            if child.is_text() && child.text().trim().is_empty() {
                continue;
            }
            let mut builder = Builder::default();
            if child.has_name("li") {
                builder.children(&child);
            } else if child.is_text() {
                builder.inline.text(&child.text());
            } else if child.is_element() {
                builder.element(&child);
            }
            let content = builder.finish();
            match items.last_mut() {
                _ if content.is_empty() => {}
                // A list directly within a list belongs to the item before it.
                Some(last) if matches!(content[..], [Block::List { .. }]) && !child.has_name("li") => {
                    last.extend(content)
                }
                _ => items.push(content),
            }
        }
        if !items.is_empty() {
            let start = node.attr("start").and_then(|start| start.parse().ok()).unwrap_or(1);
            self.push(Block::List { start: is_numbered.then_some(start), items });
        }
    }

    fn quote(&mut self, node: &NodeRef<'_>) {
        let inner = build(node);
        if !inner.is_empty() {
            self.push(Block::Quote(inner));
        }
    }

    fn table(&mut self, node: &NodeRef<'_>) {
        self.end_paragraph();
        if table::is_layout(node) {
            return self.layout_rows(node);
        }
        if let Some(caption) = node.find(&["caption"]).first() {
            self.children(caption);
            self.end_paragraph();
        }
        let rows = table::rows(node);
        if !rows.is_empty() {
            self.blocks.push(Block::Table(rows));
        }
    }

    /// A table that only places things: its cells are blocks.
    fn layout_rows(&mut self, node: &NodeRef<'_>) {
        for cell in table::layout_cells(node) {
            self.children(&cell);
            self.end_paragraph();
        }
    }

    /// A formula: its TeX source where the page has it (MathJax, KaTeX), else its text.
    fn formula(&mut self, node: &NodeRef<'_>) {
        match node.find(&["annotation"]).first() {
            Some(tex) => self.inline.text(&format!("${}$", tex.text().trim())),
            None => self.inline.text(&node.text()),
        }
    }
}

/// A link from a heading to itself.
fn is_permalink(link: &NodeRef<'_>) -> bool {
    link.attr("href").is_some_and(|href| href.starts_with('#')) && matches!(link.text().trim(), "#" | "¶" | "§" | "🔗")
}
