//! The port to the models that are evaluated.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_schemas::{ChatMessage, FinishReason};

use crate::end_to_end::Checks;

/// Why a model could not do what was asked of it.
pub type SubjectError = Box<dyn std::error::Error + Send + Sync>;

/// The version in production can not be loaded any more, and never will be: its files are gone, or no engine reads them. An
/// evaluation then compares with the base model alone, and says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{version} can not be loaded any more: {cause}")]
pub struct Unloadable {
    /// Its name.
    pub version: String,
    /// Why.
    pub cause: String,
}

/// Which of the models of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectRole {
    /// The model that may follow the one in production.
    Candidate,
    /// The model that answers for the author now.
    Production,
    /// The model that was never trained on the author.
    Base,
}

impl SubjectRole {
    /// In the order in which they are opened: the one whose failure would make the others' work useless comes first.
    pub const ALL: [Self; 3] = [Self::Candidate, Self::Production, Self::Base];

    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Production => "production",
            Self::Base => "base",
        }
    }
}

impl std::fmt::Display for SubjectRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a model wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// How surprised a model was by a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// Sum of the negative log-likelihoods of the completion's tokens, in nats.
    pub nll: f64,
    /// Tokens of the completion, those of the prompt left out.
    pub tokens: u64,
}

/// A model that is evaluated. All answers are asked for before the first loss.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Its name, as the report shows it.
    fn name(&self) -> &str;

    /// What a reader of the report has to know of it, a sentence: that it is not the model one would take it for.
    fn remark(&self) -> Option<String> {
        None
    }

    /// Answers, greedily (temperature 0), so that a second evaluation sees the same answers. The token limit should leave
    /// room for passages as long as the author's, or every model is cut off alike.
    async fn answer(&self, prompt: &[ChatMessage]) -> Result<Answer, SubjectError>;

    /// The loss on `completion`, as the assistant's answer to the prompt; on the end of the answer too where it `ends`.
    async fn loss(&self, prompt: &[ChatMessage], completion: &str, ends: bool) -> Result<Loss, SubjectError>;
}

/// Opens the models, one at a time: what it returns is dropped before the next is asked for.
#[async_trait]
pub trait Subjects: Send + Sync {
    /// The model in this role. None for [`SubjectRole::Production`]: the base model is in production. An error that is
    /// [`Unloadable`] in that role does not end the evaluation.
    async fn open(&self, role: SubjectRole) -> Result<Option<Box<dyn Subject>>, SubjectError>;

    /// Whether folds can be opened here. They are adapters, of no use without the base model that they were trained on: where
    /// that is another one, the models themselves are measured, on the test split alone.
    async fn opens_folds(&self) -> Result<bool, SubjectError> {
        Ok(true)
    }

    /// The fold with that number of the model in this role: an adapter of its recipe that has not seen some of the documents.
    /// Asked for where [`crate::Folds`] name it. An error that is [`Unloadable`] of the version in production does not end the
    /// evaluation.
    async fn open_fold(&self, role: SubjectRole, fold: u32) -> Result<Box<dyn Subject>, SubjectError> {
        Err(format!("there is no fold {fold} of the {role}").into())
    }

    /// What checks answers as serving does, asked for when all have answered. None where there is nothing that could; the
    /// answers are then not held against their passages.
    async fn checks(&self) -> Result<Option<Box<dyn Checks>>, SubjectError> {
        Ok(None)
    }
}
