//! The ports to serving: what it does for a question before a model is asked, and what it makes of what a model wrote.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use twin_schemas::{AnswerCheck, AuthorId, Category, ChatMessage, DocumentId, Passage};

use crate::SubjectError;

/// What serving does for a question before a model is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rehearsed {
    /// The passages found, best first.
    pub passages: Vec<Passage>,
    /// How many of them, from the first on, a model is given.
    pub given: usize,
    /// What a model is asked with.
    pub prompt: Vec<ChatMessage>,
    /// A model is asked. Otherwise the twin says that it does not know.
    pub asks: bool,
    /// What the twin says where it quotes, with its markers. None: that it does not know.
    pub quoted: Option<String>,
}

/// What holds for all questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ServingSettings {
    /// Passages that are found for a question.
    pub k: usize,
    /// Of the sentences of an answer that claim something, the share (0 to 1) that passages must support. Below it serving
    /// gives quotations in its place.
    pub min_grounded: f32,
}

/// Why serving does not say what it would do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServingError {
    /// This process stops: it is to be asked again, by whoever comes after it.
    #[error("the process stops")]
    Stopping,
    /// It can not, for now or for good; says why. An evaluation goes on without.
    #[error("{0}")]
    Away(String),
}

/// Serving as it is configured, without a model.
#[async_trait]
pub trait Serving: Send + Sync {
    /// What holds for all questions.
    fn settings(&self) -> ServingSettings;

    /// What it does for an author's question; as if a document, and what others have of its texts, were not there, where one
    /// is named.
    async fn rehearse(
        &self,
        author: &AuthorId,
        question: &str,
        without: Option<DocumentId>,
    ) -> Result<Rehearsed, ServingError>;

    /// What these documents are, as far as they are known.
    async fn categories(&self, documents: &[DocumentId]) -> Result<BTreeMap<DocumentId, Category>, ServingError>;
}

/// The check that serving makes of what a model wrote.
#[async_trait]
pub trait Checks: Send + Sync {
    /// What these passages, in the order of their markers, support of an answer.
    async fn check(&self, answer: &str, passages: &[Passage]) -> Result<AnswerCheck, SubjectError>;
}
