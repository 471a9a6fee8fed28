//! The frozen test samples of a dataset version (`eval/test.jsonl`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_schemas::{ChatMessage, DocumentId};

use crate::{Error, Options};

/// What a sample tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SampleKind {
    /// Writing like the author: the reference is a passage of the author's.
    Voice,
    /// Answering from passages: the reference quotes the right one and cites it.
    Grounded,
    /// Not knowing: no passage holds the answer.
    Refusal,
}

impl SampleKind {
    /// All of them, in the order in which reports list them.
    pub const ALL: [Self; 3] = [Self::Voice, Self::Grounded, Self::Refusal];

    /// The name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Grounded => "grounded",
            Self::Refusal => "refusal",
        }
    }
}

/// One test sample, one JSON line. Fields unknown here are passed over, so that a dataset can say more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TestSample {
    /// What it tests.
    pub kind: SampleKind,
    /// The document that it was made of; it is in no training sample.
    pub document_id: DocumentId,
    /// What the model is asked, as it would be in service.
    pub prompt: Vec<ChatMessage>,
    /// The answer looked for; of a voice sample: the author's own text.
    pub reference: String,
    /// The passages in the prompt, in the order of their markers.
    #[serde(default)]
    pub passages: Vec<String>,
    /// Of a grounded sample: which passage holds the answer, from 0.
    #[serde(default)]
    pub right: Option<usize>,
    /// Whether an answer is over where the reference ends. Where that is a part of a text that goes on, no end is scored.
    #[serde(default = "whole")]
    pub ends: bool,
}

fn whole() -> bool {
    true
}

impl TestSample {
    /// How errors and reports name it; `index` from 0.
    pub fn label(&self, index: usize) -> String {
        format!("sample {} ({}, document {})", index + 1, self.kind.as_str(), self.document_id)
    }

    /// Why nothing can be measured on it, if so.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.prompt.is_empty() {
            return Some("its prompt is empty");
        }
        if self.reference.trim().is_empty() {
            return Some("its reference is empty");
        }
        let right_is_given = self.right.is_some_and(|right| right < self.passages.len());
        if self.kind == SampleKind::Grounded && !right_is_given {
            return Some("it is grounded, but `right` names none of its passages");
        }
        None
    }
}

/// Samples and the documents that they were made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Samples.
    pub samples: u64,
    /// Documents.
    pub documents: u64,
}

impl Counts {
    /// Of samples, each of one of these documents.
    pub(crate) fn of_documents(documents: impl IntoIterator<Item = DocumentId>) -> Self {
        let documents: Vec<DocumentId> = documents.into_iter().collect();
        let distinct: BTreeSet<&DocumentId> = documents.iter().collect();
        Self { samples: documents.len() as u64, documents: distinct.len() as u64 }
    }

    pub(crate) fn of(samples: &[TestSample], kind: SampleKind) -> Self {
        let of_kind = || samples.iter().filter(|sample| sample.kind == kind);
        let documents: BTreeSet<DocumentId> = of_kind().map(|sample| sample.document_id).collect();
        Self { samples: of_kind().count() as u64, documents: documents.len() as u64 }
    }
}

/// Reads samples, one JSON object a line; blank lines are passed over.
///
/// # Errors
/// [`Error::Sample`] names the first line that is no usable sample.
pub fn read_samples(lines: impl BufRead) -> Result<Vec<TestSample>, Error> {
    let mut samples = Vec::new();
    for (index, line) in lines.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let unusable = |problem: String| Error::Sample { line: index + 1, problem };
        let sample: TestSample = serde_json::from_str(&line).map_err(|error| unusable(error.to_string()))?;
        if let Some(problem) = sample.problem() {
            return Err(unusable(problem.to_owned()));
        }
        samples.push(sample);
    }
    Ok(samples)
}

/// The samples to evaluate on: of each kind at most as many as the options say, from as many documents as possible.
///
/// Each document in the order of the ids gives its first sample, then each its second, and so on. Ids are hashes, so
/// this is as good as drawing lots, and does not depend on the machine.
pub fn select(samples: &[TestSample], options: &Options) -> Vec<TestSample> {
    let mut selected = Vec::new();
    for kind in SampleKind::ALL {
        let mut by_document: BTreeMap<DocumentId, usize> = BTreeMap::new();
        let mut ranked: Vec<(usize, DocumentId, &TestSample)> = samples
            .iter()
            .filter(|sample| sample.kind == kind)
            .map(|sample| {
                let seen = by_document.entry(sample.document_id).or_default();
                *seen += 1;
                (*seen, sample.document_id, sample)
            })
            .collect();
        ranked.sort_by_key(|(round, document, _)| (*round, *document));
        selected.extend(ranked.into_iter().take(options.limit(kind)).map(|(_, _, sample)| sample.clone()));
    }
    selected
}
