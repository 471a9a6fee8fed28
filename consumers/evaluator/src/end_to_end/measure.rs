//! The metrics of what models make of the questions.

use std::collections::BTreeMap;

use twin_schemas::DocumentId;

use super::answers::Served;
use super::questions::{Question, Questions};
use crate::bootstrap::{Bootstrap, Pair, Part};
use crate::grounded::{Citations, invented_quotations, refuses};
use crate::{Comparison, Counts, Metric, Options, SampleKind};

/// The place of the model that the candidate is compared with.
const PRODUCTION: usize = 1;

/// The metrics of all models' answers: the candidate's first, then those of what is in production, the base model's last. What
/// was not measured of every one is left out.
pub(crate) fn compare(questions: &Questions, models: &[&[Served]], options: &Options) -> Vec<Comparison> {
    let measured = models.iter().map(|served| {
        let each = questions.questions.iter().zip(served.iter());
        let min_grounded = questions.settings.min_grounded;
        each.map(|(question, served)| measure(question, served, min_grounded, options)).collect::<Vec<Parts>>()
    });
    let measured: Vec<Vec<Parts>> = measured.collect();
    let bootstrap =
        Bootstrap { resamples: options.resamples, confidence: options.policy.confidence, seed: options.seed };
    // The streams behind those of the metrics of samples.
    let streams = Metric::ALL.len() as u64..;
    let metrics = Metric::SERVED.into_iter().zip(streams);
    metrics.filter_map(|(metric, stream)| comparison(metric, questions, &measured, &bootstrap, stream)).collect()
}

/// What one answer adds to each metric.
type Parts = BTreeMap<Metric, Part>;

fn measure(question: &Question, served: &Served, min_grounded: f32, options: &Options) -> Parts {
    let (text, given) = (served.text.as_str(), question.given());
    let refuses = refuses(text, given.len(), &options.refusal_phrases);
    let mut parts = Parts::new();
    if question.kind != SampleKind::Grounded {
        parts.insert(Metric::ServedRefusalsRight, Part::flag(refuses));
        return parts;
    }
    let citations = Citations::of(text, given.len());
    let texts: Vec<String> = given.iter().map(|passage| passage.text.clone()).collect();
    let is_right = |(index, text): (usize, &String)| citations.name(index) && question.is_answered_in(text);
    parts.insert(Metric::ServedRightPassage, Part::flag(texts.iter().enumerate().any(is_right)));
    parts.insert(Metric::ServedCitationsValid, Part::flag(citations.are_valid()));
    parts.insert(Metric::ServedInventedQuotes, Part::flag(!invented_quotations(text, &texts).is_empty()));
    parts.insert(Metric::ServedFalseRefusals, Part::flag(refuses));
    let share = match &served.check {
        Some(check) => check.grounded_share,
        // Of an answer that nobody has asked a model for, nothing is claimed.
        None if !question.rehearsed.asks => None,
        None => return parts,
    };
    let is_replaced = share.is_some_and(|share| share < min_grounded);
    parts.insert(Metric::ServedGrounded, Part::one(f64::from(share.unwrap_or(1.0))));
    parts.insert(Metric::ServedReplaced, Part::flag(is_replaced));
    parts
}

/// One metric; none if it was measured of no answer, or not of all models.
fn comparison(
    metric: Metric,
    questions: &Questions,
    measured: &[Vec<Parts>],
    bootstrap: &Bootstrap,
    stream: u64,
) -> Option<Comparison> {
    let parts_of = |model: usize| -> Vec<(DocumentId, Part)> {
        let each = questions.questions.iter().zip(&measured[model]);
        each.filter_map(|(question, parts)| Some((question.document_id, *parts.get(&metric)?))).collect()
    };
    let (candidate, production, base) = (parts_of(0), parts_of(PRODUCTION), parts_of(measured.len() - 1));
    if candidate.is_empty() || candidate.len() != production.len() || candidate.len() != base.len() {
        return None;
    }
    let pairs = candidate.iter().zip(&production).map(|((document, candidate), (_, production))| Pair {
        document: *document,
        candidate: *candidate,
        production: *production,
    });
    let pairs: Vec<Pair> = pairs.collect();
    let ratio = |parts: &[(DocumentId, Part)]| Part::ratio(parts.iter().map(|(_, part)| *part));
    let difference = bootstrap.difference(&pairs, stream);
    let alone = "all questions are of one document, which says nothing of how others differ";
    Some(Comparison {
        metric,
        counts: Counts::of_documents(candidate.iter().map(|(document, _)| *document)),
        candidate: ratio(&candidate),
        production: ratio(&production),
        base: ratio(&base),
        author: None,
        difference,
        level: Some(bootstrap.confidence),
        incomparable: difference.is_none().then(|| alone.to_owned()),
    })
}
