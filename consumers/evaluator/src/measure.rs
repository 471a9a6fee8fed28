//! All metrics of all answers, sample by sample.

use std::collections::BTreeMap;

use twin_schemas::{Category, DocumentId};

use crate::bootstrap::Part;
use crate::degenerate::{Degeneration, degeneration};
use crate::grounded::{Citations, invented_quotations, refuses};
use crate::rouge::rouge_l;
use crate::style::{AuthorStyle, OtherDocuments};
use crate::stylometry::as_long_as;
use crate::{Answer, Loss, Metric, Options, SampleKind, TestSample};

/// Of an answer's invented quotations, those that are shown.
const NOTED_QUOTES: usize = 3;

/// What a model did with one sample.
#[derive(Debug, Clone)]
pub(crate) struct Observation {
    pub(crate) answer: Answer,
    /// Of voice samples: the loss on the reference.
    pub(crate) loss: Option<Loss>,
}

/// One model's answer, measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measured {
    pub(crate) parts: BTreeMap<Metric, Part>,
    /// What is wrong with the answer, in words.
    pub(crate) notes: Vec<String>,
}

impl Measured {
    pub(crate) fn put(&mut self, metric: Metric, part: Part) {
        self.parts.insert(metric, part);
    }

    fn note(&mut self, applies: bool, note: impl FnOnce() -> String) {
        if applies {
            self.notes.push(note());
        }
    }
}

/// Everything measured.
#[derive(Debug)]
pub(crate) struct Measurements {
    /// By model, in the order given, then by sample.
    pub(crate) of_models: Vec<Vec<Measured>>,
    /// How the author's own passages score, by sample: what a perfect twin would reach.
    pub(crate) of_author: Vec<Measured>,
    /// The author's posts were held against the author's articles, and the other way round.
    pub(crate) genres_apart: bool,
}

/// Measures the models' observations, each in the order of `samples`. The last model is the base model. `others` are texts of
/// other writers, by writer; `categories` is what the author's documents are, as far as that is known. Whether
/// `genres_are_apart` is told of all of the author's samples, of which these may be a part
/// ([`crate::style::genres_are_apart`]).
pub(crate) fn measure(
    samples: &[TestSample],
    models: &[&[Observation]],
    others: &[Vec<String>],
    categories: &BTreeMap<DocumentId, Category>,
    genres_are_apart: bool,
    options: &Options,
) -> Measurements {
    let style = AuthorStyle::new(samples, models, others, categories, genres_are_apart, options);
    let mut of_models = vec![vec![Measured::default(); samples.len()]; models.len()];
    let mut of_author = vec![Measured::default(); samples.len()];
    let mut by_document: BTreeMap<DocumentId, Vec<usize>> = BTreeMap::new();
    for (index, sample) in samples.iter().enumerate() {
        by_document.entry(sample.document_id).or_default().push(index);
    }
    // What there is beside a document is found once for all of its samples, and held for no longer.
    for (document, indices) in by_document {
        let is_voice = |index: &usize| samples[*index].kind == SampleKind::Voice;
        let others = indices.iter().any(is_voice).then(|| style.without(document));
        for index in indices {
            let sample = &samples[index];
            let others = others.as_ref().filter(|_| is_voice(&index));
            for (model, measured) in models.iter().zip(&mut of_models) {
                measured[index] = measure_answer(sample, &model[index], others, options);
            }
            if let Some(others) = others {
                others.measure(&sample.reference, &sample.reference, &mut of_author[index]);
            }
        }
    }
    Measurements { of_models, of_author, genres_apart: genres_are_apart }
}

fn measure_answer(
    sample: &TestSample,
    observation: &Observation,
    others: Option<&OtherDocuments>,
    options: &Options,
) -> Measured {
    let mut measured = Measured::default();
    let answer = &observation.answer;
    if let Some(loss) = observation.loss {
        let bits = loss.nll / std::f64::consts::LN_2;
        measured.put(Metric::LossPerToken, Part { numerator: loss.nll, denominator: loss.tokens as f64 });
        measured.put(Metric::BitsPerByte, Part { numerator: bits, denominator: sample.reference.len() as f64 });
    }
    if let Some(others) = others {
        others.measure(as_long_as(&answer.text, &sample.reference), &sample.reference, &mut measured);
    }
    match sample.kind {
        SampleKind::Voice => {}
        SampleKind::Grounded => measure_grounded(sample, &answer.text, options, &mut measured),
        SampleKind::Refusal => {
            let refuses = refuses(&answer.text, sample.passages.len(), &options.refusal_phrases);
            measured.put(Metric::RefusalsRight, Part::flag(refuses));
            measured.note(!refuses, || "answers what the passages do not say".to_owned());
        }
    }
    let degeneration = degeneration(answer, &sample.reference, options);
    measured.put(Metric::Degenerate, Part::flag(degeneration.is_some()));
    if let Some(kind) = degeneration {
        measured.notes.push(degeneration_in_words(kind).to_owned());
    }
    measured
}

fn measure_grounded(sample: &TestSample, answer: &str, options: &Options, measured: &mut Measured) {
    let count = sample.passages.len();
    let citations = Citations::of(answer, count);
    let right = sample.right.is_some_and(|right| citations.name(right));
    let invented = invented_quotations(answer, &sample.passages);
    let refuses = refuses(answer, count, &options.refusal_phrases);
    measured.put(Metric::CitationsValid, Part::flag(citations.are_valid()));
    measured.put(Metric::RightPassage, Part::flag(right));
    measured.put(Metric::InventedQuotes, Part::flag(!invented.is_empty()));
    measured.put(Metric::FalseRefusals, Part::flag(refuses));
    measured.put(Metric::RougeL, Part::one(rouge_l(answer, &sample.reference, options.rouge_words)));
    measured.note(refuses, || "says not to know what a passage says".to_owned());
    measured.note(citations.given.is_empty() && !refuses, || "cites no passage".to_owned());
    measured.note(citations.has_unknown, || "cites a passage that was not given".to_owned());
    measured.note(!citations.given.is_empty() && !right, || "cites the wrong passage".to_owned());
    measured
        .notes
        .extend(invented.iter().take(NOTED_QUOTES).map(|quote| format!("quotes what no passage says: {quote}")));
}

fn degeneration_in_words(kind: Degeneration) -> &'static str {
    match kind {
        Degeneration::Empty => "is empty",
        Degeneration::Loop => "goes round in circles",
        Degeneration::Overlong => "does not end",
    }
}
