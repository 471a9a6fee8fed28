//! What is quoted together: a span with what it can not be understood without.
//!
//! A sentence that begins by leaning on the one before (`This`, `It`) has that with it. An item of a list, and code, have the
//! sentence that introduces them, where it ends with a colon; and such a sentence has what it introduces. Rows of a table
//! have their header in any case. A unit is judged as a whole, since it is quoted as a whole.

use std::collections::BTreeSet;

use twin_schemas::Passage;
use twin_text::markdown::list_item;
use twin_text::sentences::leans;

use super::spans::{Form, Span};

/// Sentences that lean on the one before, in a row, that are followed back.
const LEANS: usize = 2;

/// Characters of what a sentence with a colon introduces.
const INTRODUCED_CHARS: usize = 400;

/// Items of a list before which its introduction is looked for.
const ITEMS: usize = 40;

/// Characters of a unit that are read when it is judged.
const READ_CHARS: usize = 600;

/// Spans that are quoted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    /// The span that it is about.
    pub about: usize,
    /// All of it, that one too: indices of spans.
    pub spans: BTreeSet<usize>,
    /// The heading that it stands under.
    pub heading: String,
    /// What it says, for whoever judges it: without marks of lists and bars of tables.
    pub reading: String,
}

impl Unit {
    /// What is embedded of it. Under which heading a sentence stands says a good part of what it is about.
    pub(super) fn in_context(&self) -> String {
        if self.heading.is_empty() { self.reading.clone() } else { format!("{}: {}", self.heading, self.reading) }
    }
}

/// Passages with their spans.
pub(super) struct Spanned<'a> {
    pub passages: &'a [Passage],
    pub spans: &'a [Span],
}

/// The unit of each span, in their order.
pub(super) fn units(spanned: &Spanned<'_>) -> Vec<Unit> {
    let unit = |about: usize| {
        let spans = spanned.together(about);
        let words = spans.iter().map(|&span| spanned.reading(span)).collect::<Vec<_>>().join(" ");
        let heading = spanned.spans[about].heading.clone();
        Unit { about, spans, heading, reading: words.chars().take(READ_CHARS).collect() }
    };
    (0..spanned.spans.len()).map(unit).collect()
}

impl Spanned<'_> {
    /// A span's text.
    pub(super) fn text(&self, index: usize) -> &str {
        let span = &self.spans[index];
        &self.passages[span.passage].text[span.range.clone()]
    }

    /// Whether the second stands right behind the first.
    pub(super) fn are_neighbours(&self, first: usize, second: usize) -> bool {
        let (Some(before), Some(after)) = (self.spans.get(first), self.spans.get(second)) else { return false };
        before.passage == after.passage && {
            let text = &self.passages[before.passage].text;
            text.get(before.extent.end..after.extent.start).is_some_and(|between| between.trim().is_empty())
        }
    }

    fn together(&self, about: usize) -> BTreeSet<usize> {
        let mut spans = BTreeSet::from([about]);
        let mut first = about;
        while spans.len() <= LEANS && self.leans_on_the_one_before(first) {
            first -= 1;
            spans.insert(first);
        }
        if self.introduces(about) {
            spans.extend(self.introduced_by(about));
        }
        spans.extend(self.introduction_of(about));
        spans
    }

    fn leans_on_the_one_before(&self, index: usize) -> bool {
        let text = self.text(index);
        self.spans[index].form == Form::Sentence
            && leans(list_item(text).unwrap_or(text))
            && index > 0
            && self.are_neighbours(index - 1, index)
            && self.spans[index - 1].block == self.spans[index].block
    }

    fn introduces(&self, index: usize) -> bool {
        self.spans[index].form == Form::Sentence && self.text(index).ends_with(':')
    }

    /// The list, table or code below: its first span, and as many more as fit.
    fn introduced_by(&self, index: usize) -> impl Iterator<Item = usize> {
        let is_below = move |&next: &usize| {
            let same_form = next == index + 1 || self.spans[next - 1].form == self.spans[next].form;
            self.spans[next].form != Form::Sentence && same_form && self.are_neighbours(next - 1, next)
        };
        let mut chars = 0;
        (index + 1..self.spans.len()).take_while(is_below).take_while(move |&next| {
            chars += self.text(next).chars().count();
            next == index + 1 || chars <= INTRODUCED_CHARS
        })
    }

    /// The sentence with a colon above a list that this is an item of, or above code.
    fn introduction_of(&self, index: usize) -> Option<usize> {
        if !matches!(self.spans[index].form, Form::Item | Form::Code) {
            return None;
        }
        let is_same_list =
            |&at: &usize| self.are_neighbours(at, at + 1) && self.spans[at + 1].form == self.spans[index].form;
        let above = (0..index).rev().take(ITEMS).take_while(is_same_list);
        above.into_iter().find(|&at| self.introduces(at))
    }

    fn reading(&self, index: usize) -> String {
        let Span { form, passage, header, .. } = &self.spans[index];
        let text = self.text(index);
        match form {
            Form::Item => list_item(text).unwrap_or(text).to_owned(),
            Form::Row => {
                let names = header.clone().map(|header| &self.passages[*passage].text[header]);
                let names = names.and_then(|header| header.lines().next()).unwrap_or_default();
                format!("{} {}", cells(names), cells(text))
            }
            Form::Sentence | Form::Quotation | Form::Code => text.to_owned(),
        }
    }
}

/// What stands in the cells of a row.
pub(crate) fn cells(row: &str) -> String {
    row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("; ")
}
