//! Questions with what serving did for them, as they travel to whoever evaluates.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tracing::warn;
use twin_artifacts::Artifacts;
use twin_llm::quotations::Originals;
use twin_schemas::{DocumentId, Passage};

use super::serving::{Rehearsed, ServingSettings};
use crate::{Counts, Error, SampleKind, TestSample};

/// The part of an order that is about answers from end to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// The artifact that holds the [`Questions`] as JSON.
    Questions(String),
    /// There are none; why.
    Absent(String),
}

/// Questions, and how they were put.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Questions {
    /// Why there are none, in words for the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
    /// What holds for all of them.
    pub settings: ServingSettings,
    /// The questions.
    pub questions: Vec<Question>,
}

/// A question, and what serving did for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// [`SampleKind::Grounded`]: a text of the author answers it. [`SampleKind::Refusal`]: the document that does was left out.
    pub kind: SampleKind,
    /// The document that it was made of.
    pub document_id: DocumentId,
    /// What is asked.
    pub asked: String,
    /// The author's sentences, any of which answers it; none of a refusal.
    pub answers: Vec<String>,
    /// What serving did.
    pub rehearsed: Rehearsed,
}

impl Questions {
    /// None, for this reason.
    pub fn absent(why: impl Into<String>) -> Self {
        Self { absent: Some(why.into()), ..Self::default() }
    }

    /// Those that were made of the documents of these samples.
    pub(crate) fn of_documents_of(mut self, samples: &[TestSample]) -> Self {
        let documents: BTreeSet<DocumentId> = samples.iter().map(|sample| sample.document_id).collect();
        self.questions.retain(|question| documents.contains(&question.document_id));
        if self.questions.is_empty() && self.absent.is_none() {
            self.absent = Some("the test split has no question".to_owned());
        }
        self
    }

    /// Questions of a kind, and the documents that they were made of.
    pub(crate) fn counts(&self, kind: SampleKind) -> Counts {
        let of_kind = self.questions.iter().filter(|question| question.kind == kind);
        Counts::of_documents(of_kind.map(|question| question.document_id))
    }
}

impl Question {
    /// The passages that a model is given, in the order of their markers.
    pub fn given(&self) -> &[Passage] {
        let Rehearsed { passages, given, .. } = &self.rehearsed;
        &passages[..passages.len().min(*given)]
    }

    /// Whether a text has one of the sentences in it that answer.
    pub(crate) fn is_answered_in(&self, text: &str) -> bool {
        let text = Originals::new([text]);
        self.answers.iter().any(|answer| text.hold(answer))
    }
}

/// The questions of an order. An artifact that is gone, or can not be read, is a reason and no failure; one that is away for a
/// while is.
pub(crate) async fn read(artifacts: &Artifacts, asked: &Asked) -> Result<Questions, Error> {
    let artifact = match asked {
        Asked::Questions(artifact) => artifact,
        Asked::Absent(why) => return Ok(Questions::absent(why.clone())),
    };
    let content = match artifacts.get(artifact).await {
        Ok(content) => content,
        Err(error) if error.is_transient() => return Err(error.into()),
        Err(error) => return Ok(unreadable(&error)),
    };
    Ok(serde_json::from_slice(&content).unwrap_or_else(|error| unreadable(&error)))
}

fn unreadable(error: &dyn std::fmt::Display) -> Questions {
    warn!(%error, "the questions of an evaluation can not be read");
    Questions::absent(format!("the questions that were prepared can not be read: {error}"))
}
