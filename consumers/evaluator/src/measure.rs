//! All metrics of all answers, sample by sample.

use std::collections::BTreeMap;

use twin_schemas::DocumentId;

use crate::bootstrap::Part;
use crate::degenerate::{Degeneration, degeneration};
use crate::grounded::{Citations, invented_quotations, refuses};
use crate::rouge::rouge_l;
use crate::stylometry::{Delta, NgramProfile, as_long_as};
use crate::{Answer, Loss, Metric, Options, SampleKind, TestSample};

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
    fn put(&mut self, metric: Metric, part: Part) {
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
}

/// Measures the models' observations, each in the order of `samples`.
pub(crate) fn measure(samples: &[TestSample], models: &[&[Observation]], options: &Options) -> Measurements {
    let style = AuthorStyle::new(samples, models, options);
    let mut of_models: Vec<Vec<Measured>> = models.iter().map(|_| Vec::with_capacity(samples.len())).collect();
    let mut of_author = Vec::with_capacity(samples.len());
    for (index, sample) in samples.iter().enumerate() {
        let others = (sample.kind == SampleKind::Voice).then(|| style.without(sample.document_id));
        for (model, measured) in models.iter().zip(&mut of_models) {
            measured.push(measure_answer(sample, &model[index], others.as_ref(), &style, options));
        }
        let mut author = Measured::default();
        if let Some(others) = &others {
            style.measure(&sample.reference, others, &mut author);
        }
        of_author.push(author);
    }
    Measurements { of_models, of_author }
}

fn measure_answer(
    sample: &TestSample,
    observation: &Observation,
    others: Option<&OtherDocuments>,
    style: &AuthorStyle,
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
        style.measure(as_long_as(&answer.text, &sample.reference), others, &mut measured);
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
    measured.notes.extend(invented.iter().map(|quote| format!("quotes what no passage says: {quote}")));
}

fn degeneration_in_words(kind: Degeneration) -> &'static str {
    match kind {
        Degeneration::Empty => "is empty",
        Degeneration::Loop => "goes round in circles",
        Degeneration::Overlong => "does not end",
    }
}

/// The author's unseen text, as far as the voice samples show it.
struct AuthorStyle {
    profile: NgramProfile,
    by_document: BTreeMap<DocumentId, NgramProfile>,
    delta: Delta,
    vectors: Vec<(DocumentId, Vec<f64>)>,
}

/// The author without one document.
struct OtherDocuments {
    profile: NgramProfile,
    centroid: Option<Vec<f64>>,
}

impl AuthorStyle {
    fn new(samples: &[TestSample], models: &[&[Observation]], options: &Options) -> Self {
        let is_voice = |sample: &&TestSample| sample.kind == SampleKind::Voice;
        let mut by_document: BTreeMap<DocumentId, NgramProfile> = BTreeMap::new();
        for sample in samples.iter().filter(is_voice) {
            let document = by_document.entry(sample.document_id).or_default();
            *document = document.plus(&NgramProfile::of(&sample.reference));
        }
        let profile = by_document.values().fold(NgramProfile::default(), |sum, document| sum.plus(document));
        let references: Vec<&str> = samples.iter().filter(is_voice).map(|sample| sample.reference.as_str()).collect();
        let answers: Vec<&str> = models
            .iter()
            .flat_map(|model| samples.iter().zip(model.iter()).filter(|(sample, _)| is_voice(sample)))
            .map(|(sample, observation)| as_long_as(&observation.answer.text, &sample.reference))
            .collect();
        let delta = Delta::fit(&references, &answers, options.frequent_words);
        let vectors = samples
            .iter()
            .filter(is_voice)
            .filter_map(|sample| Some((sample.document_id, delta.vector(&sample.reference)?)))
            .collect();
        Self { profile, by_document, delta, vectors }
    }

    /// The author's other documents; all of them if there is one only.
    fn without(&self, document: DocumentId) -> OtherDocuments {
        let is_only = self.by_document.len() == 1;
        let own = self.by_document.get(&document).filter(|_| !is_only);
        let profile = own.map_or_else(|| self.profile.clone(), |own| self.profile.minus(own));
        let is_other = |owner: DocumentId| is_only || owner != document;
        let vectors: Vec<&[f64]> =
            self.vectors.iter().filter(|(owner, _)| is_other(*owner)).map(|(_, vector)| vector.as_slice()).collect();
        OtherDocuments { profile, centroid: Delta::centroid(&vectors) }
    }

    fn measure(&self, text: &str, others: &OtherDocuments, measured: &mut Measured) {
        let vector = self.delta.vector(text);
        let distance = Delta::distance(vector.as_deref(), others.centroid.as_deref());
        measured.put(Metric::Likeness, Part::one(NgramProfile::of(text).cosine(&others.profile)));
        measured.put(Metric::Delta, Part::one(distance));
    }
}
