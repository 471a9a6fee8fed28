//! A dataset version: its manifest, and the samples in its files.

mod refusal;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{AuthorId, ContentHash, DatasetId, DocumentId, Revision};
use crate::query::ChatMessage;

pub use refusal::{Refusal, Refusals};

/// Everything about a version. Complete and unchanging; files are artifacts, named by their content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DatasetManifest {
    /// The version: SHA-256 over the canonical JSON of all fields but this, `number`, `parent` and `created_at`.
    pub dataset: DatasetId,
    /// Its number among the author's versions, from 1.
    pub number: u32,
    /// The author's version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<DatasetId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Whose it is.
    pub author: AuthorId,
    /// The version of the code that made it.
    pub build_version: u32,
    /// How it was made: the settings of the stage that made it.
    pub options: serde_json::Value,
    /// The documents read, by id.
    pub documents: Vec<SourceDocument>,
    /// Samples by split and kind.
    pub counts: BTreeMap<Split, BTreeMap<SampleKind, u64>>,
    /// Characters of the longest sample of each kind, prompt and answer: what a base model has to have room for. Not known
    /// of versions that did not say so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub longest: BTreeMap<SampleKind, u64>,
    /// Passages that are in no sample, by reason.
    pub refusals: Refusals,
    /// The model that wrote instructions, if one did: the version then depends on its answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructor: Option<String>,
    /// The model that gave the rejected answers of preferences, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_by: Option<String>,
    /// Answers of that model that did not end by themselves: no preference was made of them.
    #[serde(default, skip_serializing_if = "is_none")]
    pub cut_answers: u64,
    /// The files, by name. One without a line is left out.
    pub files: Vec<DatasetFile>,
}

/// A document that a version was made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceDocument {
    /// The document.
    pub document_id: DocumentId,
    /// The revision that was read.
    pub revision: Revision,
    /// Hash of what the source gave.
    pub content_hash: ContentHash,
    /// What its samples are for; none if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Passages of it that samples are made of.
    pub passages: u64,
    /// Ordinals of the passages whose instruction a model wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instructions_by_model: Vec<u32>,
}

/// What a sample teaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SampleKind {
    /// To write as the author does: the answer is a passage.
    Voice,
    /// To answer from passages: the answer is a quotation with its marker.
    Grounded,
    /// To say that the passages do not hold the answer.
    Refusal,
    /// To prefer the author's words to a model's.
    Preference,
}

impl SampleKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Voice, Self::Grounded, Self::Refusal, Self::Preference];

    /// The name used in manifests and the registry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Grounded => "grounded",
            Self::Refusal => "refusal",
            Self::Preference => "preference",
        }
    }
}

/// A file of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DatasetFile {
    /// Its path in an export: `sft/train.jsonl`.
    pub name: String,
    /// The artifacts that it is the concatenation of, in order. Cut between lines, of about 4 MiB each, so that it is
    /// written and read in bounded memory.
    pub parts: Vec<String>,
    /// Lines.
    pub lines: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A line of `prompt_completion/*.jsonl`: TRL's conversational prompt-completion form. Of samples whose answer is over where
/// its text ends, since who reads this form learns an end after each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PromptCompletion {
    /// What was asked.
    pub prompt: Vec<ChatMessage>,
    /// The answer, one message of the assistant.
    pub completion: Vec<ChatMessage>,
}

/// A line of `eval/test.jsonl`: a test sample with what its answer is measured by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvaluationSample {
    /// What it tests.
    pub kind: SampleKind,
    /// The document that it was made of.
    pub document_id: DocumentId,
    /// What is asked.
    pub prompt: Vec<ChatMessage>,
    /// The answer that a perfect model would give.
    pub reference: String,
    /// The texts of the passages in the prompt, in the order of their markers.
    #[serde(default)]
    pub passages: Vec<String>,
    /// The index in `passages` of the one that holds the answer.
    #[serde(default)]
    pub right: Option<u32>,
    /// Whether the answer is over where the reference ends. Where that is a part of a text that goes on, no end is looked for.
    #[serde(default = "whole")]
    pub ends: bool,
}

/// The file of a dataset version that folds are made of, if it keeps one.
pub const FOLD_SAMPLES: &str = "folds.jsonl";

/// Documents of the test split from which on a version keeps no [`FOLD_SAMPLES`]: it says enough by itself.
pub const FOLDED_BELOW: u64 = 40;

/// A line of [`FOLD_SAMPLES`]: a sample of the training or of the test split in the form of a test sample, and what it takes to
/// hold it out. Kept of small versions, whose test split alone says little.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FoldSample {
    /// The sample.
    #[serde(flatten)]
    pub sample: EvaluationSample,
    /// The split that its document is in.
    pub split: Split,
    /// The documents that can only be held out together, by the least of their ids: they share a prompt or too many words, or
    /// are joined by others that do. One that stands alone has its own.
    pub family: DocumentId,
    /// Whether an answer to it is measured. A title is learned and never measured: it is no measure of a voice.
    pub measured: bool,
}

/// Whether there are none: a manifest without any is as it was before they were counted, and so is its id.
fn is_none(count: &u64) -> bool {
    *count == 0
}

fn whole() -> bool {
    true
}

/// What a document's samples are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// To learn from.
    Train,
    /// To tell when to stop.
    Validation,
    /// To compare models by. Frozen: no training sample may come near it.
    Test,
}

impl Split {
    /// Every split.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The name used in files and manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl DatasetManifest {
    /// The file of that name; none if it has no line.
    pub fn file(&self, name: &str) -> Option<&DatasetFile> {
        self.files.iter().find(|file| file.name == name)
    }

    /// The artifacts that the file of that name is made of; none if it has no line.
    pub fn parts(&self, name: &str) -> &[String] {
        self.file(name).map_or(&[] as &[String], |file| file.parts.as_slice())
    }

    /// Samples of a split and kind.
    pub fn count(&self, split: Split, kind: SampleKind) -> u64 {
        self.counts.get(&split).and_then(|kinds| kinds.get(&kind)).copied().unwrap_or(0)
    }

    /// Samples to train on, without preferences.
    pub fn training_samples(&self) -> u64 {
        [SampleKind::Voice, SampleKind::Grounded, SampleKind::Refusal]
            .iter()
            .map(|kind| self.count(Split::Train, *kind))
            .sum()
    }

    /// The documents whose words are in it.
    pub fn members(&self) -> impl Iterator<Item = DocumentId> {
        self.documents.iter().filter(|document| document.passages > 0).map(|document| document.document_id)
    }
}
