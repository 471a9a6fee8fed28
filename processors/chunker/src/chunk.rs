//! The pure core: a document in, its chunks out.

use std::ops::Range;

use twin_embedding::Tokenizer;
use twin_schemas::{Category, Chunk, CleanedDocument, ContentHash, Span};

use crate::cut::{Cutter, Fitting};
use crate::markdown::{self, Heading};
use crate::outline::{Outline, Place};
use crate::sections::{self, Piece};
use crate::structure;
use crate::units::Units;
use crate::{Error, Options, code};

/// Cuts a document into chunks. Depends on nothing but its arguments. A text without any token (white space) has
/// no chunks.
pub fn chunk(document: &CleanedDocument, tokenizer: &dyn Tokenizer, options: &Options) -> Result<Vec<Chunk>, Error> {
    let text = document.text.as_str();
    let spans = tokenizer.spans(text)?;
    let form = Form::of(document);
    let (structure, headings) = match form {
        Form::Items => (structure::of_code(text), Vec::new()),
        Form::Sections | Form::Whole => markdown::scan(text),
    };
    let units = Units::new(text, &spans, &structure);
    drop(spans);
    let mut plan = Plan::default();
    match form {
        Form::Sections => plan.sections(&headings, &units, options),
        Form::Whole => plan.one_group(&headings, &units),
        Form::Items => plan.items(document, &units, options),
    }
    let cutter = Cutter::new(text, &units, &structure, tokenizer, options);
    let chunks = assemble(text, &units, &plan, &cutter)?;
    let covered: usize = chunks.iter().map(|chunk| chunk.text.len()).sum();
    debug_assert!(covered == text.len() || units.len() == 0);
    Ok(chunks)
}

/// How a document is laid out.
#[derive(Clone, Copy)]
enum Form {
    /// Headings and paragraphs.
    Sections,
    /// One piece where it fits.
    Whole,
    /// Items of source code.
    Items,
}

impl Form {
    fn of(document: &CleanedDocument) -> Self {
        match (document.meta.category, document.code_language.as_deref()) {
            (Category::Post, _) => Self::Whole,
            // The items of a Markdown file are its sections.
            (Category::Article, _) | (Category::Code, Some("markdown")) => Self::Sections,
            (Category::Code, _) => Self::Items,
        }
    }
}

/// Which stretches of a text keep to themselves.
#[derive(Default)]
struct Plan {
    pieces: Vec<Piece>,
    /// Ranges of pieces. Each becomes one chunk if it fits; no chunk reaches from one into the next.
    groups: Vec<Range<usize>>,
    outline: Outline,
}

impl Plan {
    fn sections(&mut self, headings: &[Heading], units: &Units, options: &Options) {
        self.pieces = sections::of_prose(headings, units, &mut self.outline);
        self.groups = sections::group_sections(&self.pieces, units, options);
    }

    /// A post is whole where it fits, whatever headings it has.
    fn one_group(&mut self, headings: &[Heading], units: &Units) {
        self.pieces = sections::of_prose(headings, units, &mut self.outline);
        self.groups.extend((!self.pieces.is_empty()).then_some(0..self.pieces.len()));
    }

    fn items(&mut self, document: &CleanedDocument, units: &Units, options: &Options) {
        let all = 0..units.len();
        let fits = units.tokens(all.clone()) <= options.max_tokens;
        let language = document.code_language.as_deref().filter(|_| !fits);
        let items = language.and_then(|name| code::items(&document.text, name, units, options, &mut self.outline));
        self.pieces = items.unwrap_or_else(|| vec![Piece { units: all, place: None, level: 0, head_only: false }]);
        self.groups = sections::group_items(&self.pieces, units, options);
    }

    /// The innermost heading or item that a part of a group stands under. `touched` begins at the first piece that
    /// may reach into the part, and is moved on.
    fn place_of(&self, part: &Range<usize>, touched: &mut Range<usize>) -> Place {
        while self.pieces[touched.start].units.end <= part.start {
            touched.start += 1;
        }
        let in_part = self.pieces[touched.clone()].iter().take_while(|piece| piece.units.start < part.end);
        in_part.map(|piece| piece.place).reduce(|left, right| self.outline.common(left, right)).flatten()
    }
}

fn assemble(text: &str, units: &Units, plan: &Plan, cutter: &Cutter<'_>) -> Result<Vec<Chunk>, Error> {
    let mut chunks = Vec::new();
    for group in &plan.groups {
        let range = plan.pieces[group.start].units.start..plan.pieces[group.end - 1].units.end;
        let mut touched = group.clone();
        for Fitting { units: part, tokens } in cutter.cut(range)? {
            let (start, end) = (units.cut(part.start), units.cut(part.end));
            let chunk_text = &text[start..end];
            chunks.push(Chunk {
                ordinal: chunks.len() as u32,
                text: chunk_text.to_owned(),
                span: Span { start: start as u64, end: end as u64 },
                token_count: tokens as u32,
                heading_path: plan.outline.path(plan.place_of(&part, &mut touched)),
                content_hash: ContentHash::sha256([chunk_text.as_bytes()]),
            });
        }
    }
    Ok(chunks)
}
