//! What a version is: its manifest, and the id that follows from it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use twin_schemas::{AuthorId, ChatMessage, ContentHash, DatasetId, DocumentId, Revision};

use crate::refusal::Refusals;
use crate::split::Split;
use crate::{Error, Options};

/// The version of this crate's output: one more with each change that makes other files of the same documents.
pub const BUILD_VERSION: u32 = 3;

/// What of a manifest is no part of its id: when and as which it was made.
const NOT_IN_ID: [&str; 4] = ["dataset", "number", "parent", "created_at"];

/// Everything about a version. Complete and unchanging; files are artifacts, named by their content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
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
    /// The code that made it ([`BUILD_VERSION`]).
    pub build_version: u32,
    /// How it was made.
    pub options: Options,
    /// The documents read, by id.
    pub documents: Vec<SourceDocument>,
    /// Samples by split and kind.
    pub counts: BTreeMap<Split, BTreeMap<SampleKind, u64>>,
    /// Passages that are in no sample, by reason.
    pub refusals: Refusals,
    /// The model that wrote instructions, if one did: the version then depends on its answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructor: Option<String>,
    /// The model that gave the rejected answers of preferences, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_by: Option<String>,
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

/// A line of `prompt_completion/*.jsonl`: TRL's conversational prompt-completion form.
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
    pub passages: Vec<String>,
    /// The index in `passages` of the one that holds the answer.
    pub right: Option<u32>,
}

impl Manifest {
    /// The id that its content gives it.
    pub fn content_id(&self) -> Result<DatasetId, Error> {
        let mut value = serde_json::to_value(self)?;
        if let Value::Object(fields) = &mut value {
            fields.retain(|name, _| !NOT_IN_ID.contains(&name.as_str()));
        }
        let mut canonical = String::new();
        write_canonical(&value, &mut canonical);
        Ok(DatasetId(hex::encode(Sha256::digest(canonical))))
    }

    /// The file of that name; none if it has no line.
    pub fn file(&self, name: &str) -> Option<&DatasetFile> {
        self.files.iter().find(|file| file.name == name)
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

/// Whether words of a document are in a version.
pub fn holds(manifest: &Manifest, document: DocumentId) -> bool {
    manifest.members().any(|member| member == document)
}

/// JSON with sorted keys and without white space (RFC 8785, but for numbers, which are as `serde_json` writes them:
/// shortest decimal form).
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            out.push('{');
            for (index, (name, value)) in sorted.into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write_canonical(item, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn canonical_json_does_not_depend_on_the_order_of_fields() {
        let value = json!({ "b": [1, 0.8, null], "a": { "d": "\"", "c": true } });
        let mut canonical = String::new();
        write_canonical(&value, &mut canonical);
        assert_eq!(canonical, r#"{"a":{"c":true,"d":"\""},"b":[1,0.8,null]}"#);
    }
}
