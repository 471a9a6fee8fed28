//! An answer, or a passage, in parts that say something: sentences, rows of tables, quotations and blocks of code.

use std::ops::Range;

pub(super) use twin_llm::without_markers;
use twin_text::blocks::{Block, Kind, blocks};
use twin_text::code_marks::code;
use twin_text::markdown::list_item;
use twin_text::sentences::sentences;

use crate::quotes::lines::lines;
use crate::quotes::spans::is_delimiter;

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A sentence of a paragraph or of a list's item.
    Sentence,
    /// A row of a table, without its header.
    Row,
    /// A block of code with its fence.
    Code,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where it stands.
    pub range: Range<usize>,
    /// What it is.
    pub form: Form,
    /// The heading that it stands under; of a row, behind it the names of its columns.
    pub heading: String,
}

/// The pieces of a text of Markdown, in order. Headings and rules are none.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let read = blocks(text);
    let masked = masked(text);
    let mut found = Vec::new();
    for Block { range, kind, section } in read.blocks.iter().cloned() {
        let heading = read.heading_path(section).pop().unwrap_or_default();
        let piece = |range, form| Piece { range, form, heading: heading.clone() };
        match kind {
            Kind::Text => found.extend(paragraphs(text, range, &masked).map(|range| piece(range, Form::Sentence))),
            Kind::Quotation => found.extend(unmarked(text, range, &masked).map(|range| piece(range, Form::Sentence))),
            Kind::Code => found.push(piece(range, Form::Code)),
            Kind::Table => found.extend(rows(text, range, &heading)),
        }
    }
    found
}

/// The text with what could be taken for the end of a sentence in code put out of the way, and without markers of passages,
/// so that they do not stand between the end of a sentence and the next one. Every place stays where it was.
fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    for part in code(text) {
        masked.push_str(&text[at..part.start]);
        masked.extend(text[part.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { 'X' }));
        at = part.end;
    }
    masked.push_str(&text[at..]);
    without_markers(&masked)
}

/// The sentences of a paragraph, or of the items of a list.
fn paragraphs<'a>(text: &'a str, range: Range<usize>, masked: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut parts: Vec<Range<usize>> = Vec::new();
    for line in lines(text, range) {
        let content = text[line.clone()].trim_start();
        match (list_item(content), parts.last_mut()) {
            (Some(item), _) => parts.push(line.end - item.len()..line.end),
            (None, Some(open)) => open.end = line.end,
            (None, None) => parts.push(line),
        }
    }
    parts.into_iter().flat_map(|part| sentences(masked, part))
}

/// The sentences of a quotation, line by line where its lines are marked.
fn unmarked<'a>(text: &'a str, range: Range<usize>, masked: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let said = lines(text, range).map(|line| {
        let content = text[line.clone()].trim_start_matches(|c: char| c == '>' || c.is_whitespace());
        line.end - content.len()..line.end
    });
    said.flat_map(|line| sentences(masked, line))
}

/// The rows of a table below its header.
fn rows<'a>(text: &'a str, range: Range<usize>, heading: &str) -> impl Iterator<Item = Piece> + use<'a> {
    let rows: Vec<Range<usize>> = lines(text, range).collect();
    let has_header = rows.len() > 1 && is_delimiter(&text[rows[1].clone()]);
    let names = if has_header { crate::quotes::units::cells(&text[rows[0].clone()]) } else { String::new() };
    let heading = format!("{heading} {names}").trim().to_owned();
    let below = rows.into_iter().skip(if has_header { 2 } else { 0 });
    below.map(move |range| Piece { range, form: Form::Row, heading: heading.clone() })
}
