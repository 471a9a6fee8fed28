//! Which units are quoted: the best ones that are not alike, as many as may be. A pure function of scores and vectors.

use std::collections::{BTreeSet, HashMap, HashSet};

use twin_schemas::DocumentId;

use super::spans::Form;
use super::units::{Spanned, Unit};

/// Units that are quoted, at most.
const MOST_UNITS: usize = 5;

/// How far below the best score a unit may lie.
const MARGIN: f32 = 0.25;

/// Cosine similarity of two units from which on the second says nothing new.
const ALIKE: f32 = 0.93;

/// Share of the words of two spans that both have, from which on the second says nothing new.
const SAME_WORDS: f32 = 0.75;

/// A unit with what it is judged by.
pub(super) struct Candidate<'a> {
    pub unit: &'a Unit,
    pub score: f32,
    pub vector: &'a [f32],
    pub stems: &'a HashSet<String>,
}

/// What is quoted.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Selection {
    /// Indices of spans, in the order of the passages' texts.
    pub spans: BTreeSet<usize>,
    /// The best score of each document that is quoted.
    pub documents: HashMap<DocumentId, f32>,
}

/// Takes the candidates from the best on, as long as they have room in so many characters. The best is taken in any case.
pub(super) fn select(spanned: &Spanned<'_>, candidates: &[Candidate<'_>], most_chars: usize) -> Selection {
    let mut ranked: Vec<&Candidate<'_>> = candidates.iter().collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.unit.about.cmp(&b.unit.about)));
    let least = ranked.first().map_or(f32::INFINITY, |best| best.score - MARGIN);
    let mut selection = Selection::default();
    let mut taken: Vec<&Candidate<'_>> = Vec::new();
    for candidate in ranked.into_iter().take_while(|candidate| candidate.score >= least) {
        if taken.len() == MOST_UNITS {
            break;
        }
        let is_new = !candidate.unit.spans.is_subset(&selection.spans);
        if !is_new || taken.iter().any(|other| are_alike(other, candidate)) {
            continue;
        }
        let together: BTreeSet<usize> = selection.spans.union(&candidate.unit.spans).copied().collect();
        if taken.is_empty() || spanned.chars(&together) <= most_chars {
            selection.spans = together;
            let best = selection.documents.entry(spanned.document(candidate.unit.about)).or_insert(candidate.score);
            *best = best.max(candidate.score);
            taken.push(candidate);
        }
    }
    if let Some(best) = taken.first() {
        go_on(spanned, best.unit.about, &mut selection.spans, most_chars);
    }
    fill_gaps(spanned, &mut selection.spans, most_chars);
    selection
}

/// The sentence behind the best is quoted with it where there is room: it goes on with what was asked for.
fn go_on(spanned: &Spanned<'_>, best: usize, spans: &mut BTreeSet<usize>, most_chars: usize) {
    if spanned.are_of_a_paragraph(best, best + 1) {
        add_if_it_fits(spanned, best + 1, spans, most_chars);
    }
}

fn are_alike(one: &Candidate<'_>, other: &Candidate<'_>) -> bool {
    let common = one.stems.intersection(other.stems).count() as f32;
    let all = (one.stems.len() + other.stems.len()) as f32 - common;
    dot(one.vector, other.vector) >= ALIKE || (all > 0.0 && common / all >= SAME_WORDS)
}

/// A sentence between two that are quoted is quoted with them where there is room: the three read as one.
fn fill_gaps(spanned: &Spanned<'_>, spans: &mut BTreeSet<usize>, most_chars: usize) {
    let is_gap = |gap: &usize| !spans.contains(gap) && spans.contains(&(gap + 1));
    let is_within =
        |gap: &usize| spanned.are_of_a_paragraph(gap - 1, *gap) && spanned.are_of_a_paragraph(*gap, gap + 1);
    let gaps: Vec<usize> = spans.iter().map(|span| span + 1).filter(is_gap).filter(is_within).collect();
    for gap in gaps {
        add_if_it_fits(spanned, gap, spans, most_chars);
    }
}

fn add_if_it_fits(spanned: &Spanned<'_>, span: usize, spans: &mut BTreeSet<usize>, most_chars: usize) {
    let mut more = spans.clone();
    more.insert(span);
    if spanned.chars(&more) <= most_chars {
        *spans = more;
    }
}

impl Spanned<'_> {
    fn chars(&self, spans: &BTreeSet<usize>) -> usize {
        spans.iter().map(|&span| self.text(span).chars().count()).sum()
    }

    fn document(&self, span: usize) -> DocumentId {
        self.passages[self.spans[span].passage].document_id
    }

    /// Whether these are sentences of one paragraph, the second right behind the first.
    fn are_of_a_paragraph(&self, first: usize, second: usize) -> bool {
        let is_sentence = |span: usize| self.spans[span].form == Form::Sentence;
        self.are_neighbours(first, second)
            && is_sentence(first)
            && is_sentence(second)
            && self.spans[first].block == self.spans[second].block
    }
}

/// The cosine similarity of two unit vectors.
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}
