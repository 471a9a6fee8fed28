//! What can be quoted of a passage: sentences, list items, rows of tables, quotations and code.
//!
//! Each is a range of the passage's text, so what is quoted of it is verbatim. No span: headings, which say what is
//! spoken of and nothing about it; what is only links, images or tags; what is longer than anybody would read; and prose
//! that has the marker of a passage in it, since a reader would take that for the answer's own.

use std::ops::Range;

use twin_llm::has_marker;
use twin_schemas::{Category, Passage};
use twin_text::blocks::{Block, Kind, blocks};
use twin_text::language::language_of_path;
use twin_text::markdown::{Fence, list_item};
use twin_text::sentences::sentences;
use twin_text::words::words;

use super::lines::{lines, pieces};

/// A list item of more characters is quoted by its sentences.
const ITEM_CHARS: usize = 300;

/// Characters of code, or of a quotation of somebody else, in one span: what is longer is cut at its lines.
const PIECE_CHARS: usize = 700;

/// Characters of anything else in one span. A longer sentence is none: its text is no prose.
const MOST_CHARS: usize = 1_200;

/// Words of a sentence that says something by itself. A shorter one goes with its neighbour.
const LEAST_WORDS: usize = 3;

/// What a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One or more sentences of a paragraph or of a long list item.
    Sentence,
    /// A list item, with its mark.
    Item,
    /// A row of a table, without its header.
    Row,
    /// Somebody else's words, marked so.
    Quotation,
    /// Lines of code, without a fence.
    Code,
}

/// A part of a passage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// The passage's index.
    pub passage: usize,
    /// What it is.
    pub form: Form,
    /// Where it stands in the passage's text.
    pub range: Range<usize>,
    /// As `range`, with what stands around it and is written anew where it is quoted: the header of its table, the lines
    /// of its fence. Of two neighbours there is nothing but white space between these.
    pub extent: Range<usize>,
    /// Its paragraph, list item, table or block of code, counted within the passage.
    pub block: usize,
    /// The header of its table: names of columns, and the line below them.
    pub header: Option<Range<usize>>,
    /// Of code, its language where that is known.
    pub language: Option<String>,
    /// The heading that it stands under, or else the title of its document.
    pub heading: String,
}

/// The spans of all passages, in the order of their texts.
pub(super) fn spans(passages: &[Passage]) -> Vec<Span> {
    let mut found = Vec::new();
    for (index, passage) in passages.iter().enumerate() {
        let above = passage.heading_path.last().or(passage.title.as_ref()).cloned().unwrap_or_default();
        let mut reader =
            Reader { text: &passage.text, passage: index, passages: passages.len(), block: 0, heading: above, found };
        reader.read(passage);
        found = reader.found;
    }
    found
}

struct Reader<'a> {
    text: &'a str,
    passage: usize,
    passages: usize,
    block: usize,
    heading: String,
    found: Vec<Span>,
}

impl Reader<'_> {
    fn read(&mut self, passage: &Passage) {
        let language = language_of_path(&passage.natural_key);
        // A Markdown file of a repository is code by its category and prose by what it is.
        if passage.category == Category::Code && language != Some("markdown") {
            return self.code(0..self.text.len(), 0..self.text.len(), language.map(str::to_owned));
        }
        let read = blocks(self.text);
        for block in read.blocks.iter().cloned() {
            self.block += 1;
            if let Some(heading) = read.heading_path(block.section).pop() {
                self.heading = heading;
            }
            match block.kind {
                Kind::Text => self.prose(block.range),
                Kind::Code => self.fenced(block),
                Kind::Table => self.table(block.range),
                Kind::Quotation => self.quotation(block.range),
            }
        }
    }

    /// A paragraph, a list, or a list below a paragraph.
    fn prose(&mut self, range: Range<usize>) {
        let mut start = range.start;
        let mut in_list = false;
        for line in lines(self.text, range.clone()) {
            let mark = line.end - self.text[line.clone()].trim_start().len();
            let content = &self.text[mark..line.end];
            // A number may begin a line of a paragraph by chance; the first number of a list below one is 1.
            let may_begin = line.start == range.start
                || content.starts_with(['-', '*', '+', '•'])
                || content.starts_with("1.")
                || content.starts_with("1)");
            if list_item(content).is_some() && (in_list || may_begin) {
                self.paragraph(start..mark, in_list);
                (start, in_list) = (mark, true);
            }
        }
        self.paragraph(start..range.end, in_list);
    }

    /// A paragraph or a list item: whole if it is a short item, else its sentences.
    fn paragraph(&mut self, range: Range<usize>, is_item: bool) {
        let text = self.text[range.clone()].trim_end();
        let range = range.start..range.start + text.len();
        if is_item && text.chars().count() <= ITEM_CHARS {
            return self.prose_span(Form::Item, range, 1);
        }
        self.block += 1;
        let content = list_item(text).filter(|_| is_item).map_or(range.start, |content| range.end - content.len());
        let mut cut = whole_sentences(self.text, content..range.end);
        if let Some(first) = cut.first_mut() {
            // With the mark of its item.
            first.start = range.start;
        }
        for sentence in cut {
            self.prose_span(Form::Sentence, sentence, LEAST_WORDS);
        }
        self.block += 1;
    }

    fn table(&mut self, range: Range<usize>) {
        let rows: Vec<Range<usize>> = lines(self.text, range).collect();
        let has_header = rows.len() > 1 && is_delimiter(&self.text[rows[1].clone()]);
        let header = has_header.then(|| rows[0].start..rows[1].end);
        for (index, row) in rows.into_iter().enumerate().skip(if has_header { 2 } else { 0 }) {
            let start =
                if has_header && index == 2 { header.clone().map_or(row.start, |at| at.start) } else { row.start };
            let found = self.found.len();
            self.prose_span(Form::Row, row.clone(), 1);
            for span in &mut self.found[found..] {
                (span.extent, span.header) = (start..row.end, header.clone());
            }
        }
    }

    /// Marked by its lines, it may be cut at them; in quotation marks it stays whole.
    fn quotation(&mut self, range: Range<usize>) {
        let is_marked = |line: &str| line.trim_start().starts_with('>');
        let whole = [range.clone()];
        let cut = pieces(self.text, range, PIECE_CHARS);
        let all_marked = cut.iter().all(|piece| is_marked(&self.text[piece.clone()]));
        for piece in if all_marked { cut.as_slice() } else { &whole } {
            self.prose_span(Form::Quotation, piece.clone(), LEAST_WORDS);
        }
    }

    fn fenced(&mut self, block: Block) {
        let mut inside: Vec<Range<usize>> = lines(self.text, block.range.clone()).collect();
        let opening = self.text[inside.remove(0)].trim();
        let fence = Fence::opened_by(opening);
        // The chunker, or the author, may have left it open.
        let is_closing =
            |line: &mut Range<usize>| fence.is_some_and(|fence| fence.is_closed_by(self.text[line.clone()].trim()));
        inside.pop_if(is_closing);
        let (Some(first), Some(last)) = (inside.first(), inside.last()) else { return };
        self.code(first.start..last.end, block.range, language_of_fence(opening));
    }

    fn code(&mut self, range: Range<usize>, extent: Range<usize>, language: Option<String>) {
        let cut = pieces(self.text, range, PIECE_CHARS);
        let last = cut.len().saturating_sub(1);
        for (index, piece) in cut.into_iter().enumerate() {
            if words(&self.text[piece.clone()]).is_empty() {
                continue;
            }
            let start = if index == 0 { extent.start } else { piece.start };
            let end = if index == last { extent.end } else { piece.end };
            self.push(Form::Code, piece, start..end, language.clone());
        }
    }

    fn prose_span(&mut self, form: Form, range: Range<usize>, least_words: usize) {
        let text = &self.text[range.clone()];
        let is_read = text.chars().count() <= MOST_CHARS && words(&without_links(text)).len() >= least_words;
        if is_read && !has_marker(text, self.passages) {
            self.push(form, range.clone(), range, None);
        }
    }

    fn push(&mut self, form: Form, range: Range<usize>, extent: Range<usize>, language: Option<String>) {
        let (passage, block, heading) = (self.passage, self.block, self.heading.clone());
        self.found.push(Span { passage, form, range, extent, block, header: None, language, heading });
    }
}

/// The sentences of a paragraph, those that are too short to say something (`Yes.`, `**Note.**`) with the one after them, at
/// the end with the one before.
fn whole_sentences(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let is_short = |range: &Range<usize>| words(&text[range.clone()]).len() < LEAST_WORDS;
    let mut found: Vec<Range<usize>> = Vec::new();
    for sentence in sentences(text, range) {
        match found.last_mut() {
            Some(before) if is_short(before) => before.end = sentence.end,
            _ => found.push(sentence),
        }
    }
    if found.last().is_some_and(is_short)
        && let Some(last) = found.pop()
    {
        match found.last_mut() {
            Some(before) => before.end = last.end,
            None => found.push(last),
        }
    }
    found
}

/// The line between a table's header and its rows: `|---|:-:|`.
pub(crate) fn is_delimiter(row: &str) -> bool {
    row.contains('-') && row.chars().all(|c| matches!(c, '|' | '-' | ':') || c.is_whitespace())
}

/// The language that a fence's first line names: `rust` of "```rust,no_run".
fn language_of_fence(opening: &str) -> Option<String> {
    let named = opening.trim_start_matches(['`', '~']).trim_start();
    let name: String =
        named.chars().take_while(|&c| c.is_alphanumeric() || matches!(c, '+' | '-' | '#' | '_')).collect();
    (!name.is_empty()).then_some(name)
}

/// A text without its links, images, tags and bare addresses: what it says by itself.
fn without_links(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = match next {
            '[' => link(rest),
            '<' => tag(rest),
            'h' if rest.starts_with("http://") || rest.starts_with("https://") => {
                rest.find(char::is_whitespace).or(Some(rest.len()))
            }
            _ => None,
        };
        match skipped {
            Some(bytes) => rest = &rest[bytes..],
            None => {
                kept.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        // The text of a link and the word after it are two.
        if skipped.is_some() {
            kept.push(' ');
        }
    }
    kept
}

/// Bytes of `[text](address)`, `[text][name]` or `[name]: `, if a text begins with one; images are links after a `!`.
fn link(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let closing = text.char_indices().find_map(|(at, c)| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(at + 1)
    })?;
    let rest = &text[closing..];
    let target = match rest.chars().next()? {
        '(' => rest.find(')')? + 1,
        '[' => rest.find(']')? + 1,
        ':' => 1,
        _ => return None,
    };
    Some(closing + target)
}

/// Bytes of `<tag …>`, `</tag>` or `<!-- … -->`, if a text begins with one.
fn tag(text: &str) -> Option<usize> {
    let begins = text[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!'));
    if begins { text.find('>').map(|at| at + 1) } else { None }
}
