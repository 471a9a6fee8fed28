//! From documents to a deployed model: datasets, models, and the form of training samples.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dataset::SampleKind;
use crate::envelope::Payload;
use crate::ids::{AuthorId, DatasetId, JobId, ModelId};
use crate::query::ChatMessage;
use crate::topics::Topic;

/// A dataset version is complete and will never change. Written by the datasets stage, read by the trainer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DatasetReady {
    /// The version: a hash of its content.
    pub dataset: DatasetId,
    /// Whose it is.
    pub author: AuthorId,
    /// Its number among the author's versions, from 1.
    pub number: u32,
    /// The artifact that holds its manifest, which names all others.
    pub manifest: String,
    /// Samples to train on.
    pub training_samples: u64,
    /// When it was frozen.
    pub at: DateTime<Utc>,
}

impl Payload for DatasetReady {
    const TYPE: &'static str = "twin.dataset.v1";
    const TOPIC: Topic = Topic::Datasets;
}

/// What happened to a model of an author. Written by the trainer, the evaluator and the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ModelEvent {
    /// A training job has made it.
    Trained {
        /// The model.
        model: ModelId,
        /// Whose.
        author: AuthorId,
        /// What it was trained on.
        dataset: DatasetId,
        /// The job.
        job: JobId,
        /// The artifact that holds its manifest, which names its files.
        manifest: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// It was compared with the model in production.
    Evaluated {
        /// The model.
        model: ModelId,
        /// Whose.
        author: AuthorId,
        /// The outcome.
        verdict: Verdict,
        /// The artifact that holds the report, as JSON.
        report: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// From now on it is to answer for its author. An earlier version is a rollback.
    Deployed {
        /// The model; none is the base model.
        model: Option<ModelId>,
        /// Whose.
        author: AuthorId,
        /// The number of this deployment among the author's, from 1: a lower one is out of date.
        deployment: u64,
        /// When.
        at: DateTime<Utc>,
    },
}

impl Payload for ModelEvent {
    const TYPE: &'static str = "twin.model.v1";
    const TOPIC: Topic = Topic::Models;
}

/// What an evaluation says of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Better than production, and worse in nothing that matters.
    Passed,
    /// Not better, or worse in something that matters.
    Failed,
    /// Too few samples to tell.
    Inconclusive,
}

impl Verdict {
    /// The name used in events, stores and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// A sample of supervised fine-tuning, one JSON line: the conversational form that TRL, Axolotl and Hugging Face
/// `datasets` read. The last message is the assistant's, and the only one that is learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatSample {
    /// The conversation.
    pub messages: Vec<ChatMessage>,
    /// What it teaches; unknown of versions that did not say so.
    #[serde(default)]
    pub kind: Option<SampleKind>,
    /// Whether the answer is over where its text ends. Where it is a part of a text that goes on, no end is learned.
    #[serde(default = "whole")]
    pub ends: bool,
}

fn whole() -> bool {
    true
}

/// A preference, one JSON line: the conversational form of TRL's `DPOTrainer`. `chosen` and `rejected` hold one message
/// of the assistant each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PreferenceSample {
    /// What was asked.
    pub prompt: Vec<ChatMessage>,
    /// The better answer: the author's own words.
    pub chosen: Vec<ChatMessage>,
    /// The worse answer: a model's.
    pub rejected: Vec<ChatMessage>,
}
