//! What serving does for the questions, whatever model writes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_llm::quotations::normalised;
use twin_llm::without_markers;
use twin_schemas::DocumentId;

use super::questions::{Question, Questions};
use crate::bootstrap::{Bootstrap, Interval, Part};
use crate::{Counts, Options, SampleKind};

/// Of the generator's streams, the first of those that no metric uses.
const STREAM: u64 = 1 << 32;

/// Of a report, the part that is of no model: what is found, quoted and refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndToEnd {
    /// Why nothing was measured from end to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
    /// Passages that are found for a question, at most.
    #[serde(default)]
    pub k: usize,
    /// Questions that a text of the author answers.
    #[serde(default)]
    pub answerable: Counts,
    /// Questions of which the document that answers was left out.
    #[serde(default)]
    pub left_out: Counts,
    /// What was measured.
    #[serde(default)]
    pub facts: Vec<Fact>,
    /// Why the models' answers were not held against their passages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<String>,
}

/// A share of questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fact {
    /// Which.
    pub measure: ServingMeasure,
    /// Of how many questions.
    #[serde(flatten)]
    pub counts: Counts,
    /// The share, 0 to 1.
    pub share: f64,
    /// Its interval, by drawing documents. Absent where all questions are of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

/// What is measured of serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServingMeasure {
    /// The document that answers is among those found.
    DocumentFound,
    /// A passage that answers is among those found.
    PassageFound,
    /// It is among those that a model is given.
    PassageGiven,
    /// Of questions whose passage was found: what is quoted has a sentence in it that answers.
    AnswerQuoted,
    /// Of answers that are quoted: each line stands in a passage.
    QuotesVerbatim,
    /// Questions that a text answers and that are refused where the author is quoted.
    RefusedFalsely,
    /// Questions of which the document that answers was left out, and that are refused where the author is quoted.
    RefusedRightly,
}

impl ServingMeasure {
    /// All of them, in the order in which reports list them.
    pub const ALL: [Self; 7] = [
        Self::DocumentFound,
        Self::PassageFound,
        Self::PassageGiven,
        Self::AnswerQuoted,
        Self::QuotesVerbatim,
        Self::RefusedFalsely,
        Self::RefusedRightly,
    ];

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::DocumentFound => "Document found",
            Self::PassageFound => "Passage found",
            Self::PassageGiven => "Passage given to a model",
            Self::AnswerQuoted => "Answer quoted",
            Self::QuotesVerbatim => "Quoted verbatim",
            Self::RefusedFalsely => "Refused falsely",
            Self::RefusedRightly => "Refused rightly",
        }
    }

    /// What it means, in one line for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::DocumentFound => "Questions whose document is among the passages that search finds.",
            Self::PassageFound => "Questions of which search finds a passage with the sentence that answers.",
            Self::PassageGiven => "The same among the passages that a model is given.",
            Self::AnswerQuoted => {
                "Of questions whose passage was found: the sentence that answers is among those quoted."
            }
            Self::QuotesVerbatim => "Answers that are quoted and stand in the passages line by line.",
            Self::RefusedFalsely => "Questions that a text of the author answers, and quoting says not to know.",
            Self::RefusedRightly => "Questions whose document was left out, and quoting says not to know.",
        }
    }

    /// Whether it holds of a question; none if it is not asked of that one.
    fn holds(self, question: &Question) -> Option<bool> {
        let answerable = question.kind == SampleKind::Grounded;
        let Question { rehearsed, .. } = question;
        let is_found = || rehearsed.passages.iter().any(|passage| question.is_answered_in(&passage.text));
        let quoted = rehearsed.quoted.as_deref();
        match self {
            Self::RefusedRightly => (!answerable).then(|| quoted.is_none()),
            Self::QuotesVerbatim => quoted.map(|quoted| is_verbatim(quoted, question)),
            _ if !answerable => None,
            Self::DocumentFound => {
                Some(rehearsed.passages.iter().any(|passage| passage.document_id == question.document_id))
            }
            Self::PassageFound => Some(is_found()),
            Self::PassageGiven => Some(question.given().iter().any(|passage| question.is_answered_in(&passage.text))),
            Self::AnswerQuoted => {
                let is_quoted = || quoted.is_some_and(|quoted| question.is_answered_in(&without_markers(quoted)));
                is_found().then(is_quoted)
            }
            Self::RefusedFalsely => Some(quoted.is_none()),
        }
    }
}

/// Whether each line that is quoted stands in a passage; what puts code apart is not of the author.
fn is_verbatim(quoted: &str, question: &Question) -> bool {
    let passages: Vec<String> = question.rehearsed.passages.iter().map(|passage| normalised(&passage.text)).collect();
    let is_fence = |line: &&str| line.trim_start().starts_with("```");
    let is_marker = |line: &&str| without_markers(line).trim().is_empty();
    let mut lines = quoted.lines().filter(|line| !is_fence(line) && !is_marker(line));
    lines.all(|line| {
        let line = normalised(line);
        passages.iter().any(|passage| passage.contains(unmarked(&line)))
    })
}

/// A line without the marker that ends it.
fn unmarked(line: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match line.rsplit_once(" [") {
        Some((before, marker)) if marker.strip_suffix(']').is_some_and(is_number) => before.trim_end(),
        _ => line,
    }
}

/// What serving does for the questions, with intervals.
pub(crate) fn facts(questions: &Questions, options: &Options, unchecked: Option<String>) -> EndToEnd {
    let bootstrap =
        Bootstrap { resamples: options.resamples, confidence: options.policy.confidence, seed: options.seed };
    let measured = ServingMeasure::ALL.into_iter().zip(STREAM..);
    EndToEnd {
        absent: questions.absent.clone(),
        k: questions.settings.k,
        answerable: questions.counts(SampleKind::Grounded),
        left_out: questions.counts(SampleKind::Refusal),
        facts: measured.filter_map(|(measure, stream)| fact(measure, questions, &bootstrap, stream)).collect(),
        unchecked,
    }
}

fn fact(measure: ServingMeasure, questions: &Questions, bootstrap: &Bootstrap, stream: u64) -> Option<Fact> {
    let each = questions.questions.iter();
    let parts: Vec<(DocumentId, Part)> =
        each.filter_map(|question| Some((question.document_id, Part::flag(measure.holds(question)?)))).collect();
    if parts.is_empty() {
        return None;
    }
    // A share is never below nothing or above all.
    let within = |Interval { mean, low, high }| Interval { mean, low: low.max(0.0), high: high.min(1.0) };
    Some(Fact {
        measure,
        counts: Counts::of_documents(parts.iter().map(|(document, _)| *document)),
        share: Part::ratio(parts.iter().map(|(_, part)| *part)),
        interval: bootstrap.ratio(&parts, stream).map(within),
    })
}
