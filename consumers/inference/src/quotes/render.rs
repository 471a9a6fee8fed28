//! How quotations are written: in reading order, what stands together together, each with the marker of its passage.
//!
//! Documents come by how well they answer, passages of a document in their order. Prose is written as it stands; items of one
//! list and rows of one table are together, whatever was between them, and rows stand below their header; code is in a fence
//! of its own. The marker of rows and of code stands below them, since it would be a part of them otherwise.

use std::cmp::Ordering;

use super::Quotation;
use super::select::Selection;
use super::spans::{Form, Span};
use super::units::Spanned;

/// The quotations of a selection, in reading order.
pub(super) fn render(spanned: &Spanned<'_>, selection: &Selection) -> Vec<Quotation> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for &span in &selection.spans {
        match groups.last_mut() {
            Some(group) if group.last().is_some_and(|&last| spanned.belong_together(last, span)) => group.push(span),
            _ => groups.push(vec![span]),
        }
    }
    groups.sort_by(|a, b| spanned.in_reading_order(a[0], b[0], selection));
    let mut quotations: Vec<Quotation> = groups.iter().map(|group| spanned.quotation(group)).collect();
    for later in quotations.iter_mut().skip(1) {
        later.text.insert_str(0, "\n\n");
    }
    quotations
}

/// What is written alike.
#[derive(PartialEq, Eq)]
enum Style {
    Prose,
    Table,
    Code,
}

impl From<Form> for Style {
    fn from(form: Form) -> Self {
        match form {
            Form::Sentence | Form::Item | Form::Quotation => Self::Prose,
            Form::Row => Self::Table,
            Form::Code => Self::Code,
        }
    }
}

impl Spanned<'_> {
    fn in_reading_order(&self, one: usize, other: usize, selection: &Selection) -> Ordering {
        let passage = |span: usize| &self.passages[self.spans[span].passage];
        let score = |span: usize| selection.documents.get(&passage(span).document_id).copied().unwrap_or_default();
        let place = |span: usize| (passage(span).document_id, passage(span).ordinal, span);
        score(other).total_cmp(&score(one)).then_with(|| place(one).cmp(&place(other)))
    }

    /// Whether one quotation holds both: neighbours, and parts of one list or table.
    fn belong_together(&self, one: usize, other: usize) -> bool {
        self.are_neighbours(one, other) || self.is_listed_with(one, other)
    }

    fn is_listed_with(&self, one: usize, other: usize) -> bool {
        let of = |span: usize| (self.spans[span].passage, self.spans[span].block, self.spans[span].form);
        matches!(self.spans[one].form, Form::Item | Form::Row) && of(one) == of(other)
    }

    fn quotation(&self, group: &[usize]) -> Quotation {
        let runs = group.chunk_by(|&a, &b| self.are_one_run(a, b));
        let mut text = runs.map(|run| self.run(run)).collect::<Vec<_>>().join("\n\n");
        let [first, last] = [group[0], group[group.len() - 1]].map(|span| &self.spans[span]);
        let marker = first.passage as u32 + 1;
        text.push_str(if Style::from(last.form) == Style::Prose { " " } else { "\n\n" });
        text.push_str(&format!("[{marker}]"));
        Quotation { marker, text }
    }

    fn are_one_run(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.spans[one], &self.spans[other]);
        let (style, other_style) = (Style::from(one.form), Style::from(other.form));
        style == other_style && (style == Style::Prose || one.block == other.block)
    }

    /// Spans that are written alike, as they stand.
    fn run(&self, run: &[usize]) -> String {
        let Span { form, passage, header, language, .. } = &self.spans[run[0]];
        let text = self.joined(run);
        match (Style::from(*form), header) {
            (Style::Table, Some(header)) => format!("{}\n{text}", &self.passages[*passage].text[header.clone()]),
            (Style::Table, None) | (Style::Prose, _) => text,
            (Style::Code, _) => {
                let fence = fence_around(&text);
                format!("{fence}{}\n{text}\n{fence}", language.as_deref().unwrap_or_default())
            }
        }
    }

    /// Neighbours with what is between them; between others, which are lines of a list or a table, the end of a line.
    fn joined(&self, run: &[usize]) -> String {
        let passage = &self.passages[self.spans[run[0]].passage].text;
        let mut text = self.text(run[0]).to_owned();
        for pair in run.windows(2) {
            let between = self.spans[pair[0]].range.end..self.spans[pair[1]].range.start;
            text.push_str(if self.are_neighbours(pair[0], pair[1]) { &passage[between] } else { "\n" });
            text.push_str(self.text(pair[1]));
        }
        text
    }
}

/// More back-ticks than a code has anywhere in a row, three at least (CommonMark 4.5).
fn fence_around(code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat((longest + 1).max(3))
}
