//! The topics of the log: names, keys and how long they are kept.

use std::time::Duration;

/// A topic. Names hold dots and dashes only (a Kubernetes name may have no underscore, and Kafka's metric
/// names confuse dots with underscores).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Collected documents, by document id.
    DocumentsRaw,
    /// Cleaned documents, by document id.
    DocumentsCleaned,
    /// Chunked documents, by document id.
    DocumentsChunked,
    /// Dataset versions, by author.
    Datasets,
    /// What happened to models, by author.
    Models,
    /// Queries, by request id.
    Queries,
    /// Answers, by gateway.
    Answers,
}

/// When records leave a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Only the newest record of each key stays; tombstones go after a day.
    Compact,
    /// Records older than this go.
    Delete(Duration),
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 7] = [
        Self::DocumentsRaw,
        Self::DocumentsCleaned,
        Self::DocumentsChunked,
        Self::Datasets,
        Self::Models,
        Self::Queries,
        Self::Answers,
    ];

    /// The topic's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::DocumentsRaw => "twin.documents.raw.v1",
            Self::DocumentsCleaned => "twin.documents.cleaned.v1",
            Self::DocumentsChunked => "twin.documents.chunked.v1",
            Self::Datasets => "twin.datasets.v1",
            Self::Models => "twin.models.v1",
            Self::Queries => "twin.queries.v1",
            Self::Answers => "twin.answers.v1",
        }
    }

    /// How its records leave it.
    pub fn cleanup(self) -> Cleanup {
        match self {
            Self::DocumentsRaw | Self::DocumentsCleaned => Cleanup::Compact,
            Self::DocumentsChunked => Cleanup::Delete(7 * DAY),
            Self::Datasets | Self::Models => Cleanup::Delete(365 * DAY),
            Self::Queries => Cleanup::Delete(DAY),
            Self::Answers => Cleanup::Delete(Duration::from_secs(60 * 60)),
        }
    }

    /// What its records are keyed by.
    pub fn key(self) -> &'static str {
        match self {
            Self::DocumentsRaw | Self::DocumentsCleaned | Self::DocumentsChunked => "document id",
            Self::Datasets | Self::Models => "author",
            Self::Queries => "request id",
            Self::Answers => "gateway id",
        }
    }

    /// Whether events that a stage refuses are kept in a dead-letter topic. Answers are read by whoever waits
    /// for them, not by a stage.
    pub fn has_dead_letters(self) -> bool {
        self != Self::Answers
    }
}

/// The dead-letter topic of a topic. Its records are kept for 30 days.
pub fn dead_letter_topic(topic: &str) -> String {
    format!("{topic}.dlq")
}
