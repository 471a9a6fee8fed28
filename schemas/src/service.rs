//! The services: their names, in events, consumer groups, metrics, readiness and on the command line.

use std::str::FromStr;

use crate::Topic;

/// What a process can do. A service that reads a topic is a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Collects sources and publishes what has changed.
    Crawler,
    /// Cleans documents.
    Cleaner,
    /// Cuts documents into chunks.
    Chunker,
    /// Embeds chunks into the index.
    Embedder,
    /// Makes versioned datasets of cleaned documents.
    Datasets,
    /// Trains models on datasets.
    Trainer,
    /// Compares trained models with the one in production.
    Evaluator,
    /// Answers queries.
    Inference,
    /// Serves the REST API.
    Gateway,
}

/// A name that no service has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no service {0:?}")]
pub struct NoService(String);

impl Service {
    /// Every service.
    pub const ALL: [Self; 9] = [
        Self::Crawler,
        Self::Cleaner,
        Self::Chunker,
        Self::Embedder,
        Self::Datasets,
        Self::Trainer,
        Self::Evaluator,
        Self::Inference,
        Self::Gateway,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crawler => "crawler",
            Self::Cleaner => "cleaner",
            Self::Chunker => "chunker",
            Self::Embedder => "embedder",
            Self::Datasets => "datasets",
            Self::Trainer => "trainer",
            Self::Evaluator => "evaluator",
            Self::Inference => "inference",
            Self::Gateway => "gateway",
        }
    }

    /// What it does, in a line.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Crawler => "Collects sources and publishes what has changed",
            Self::Cleaner => "Cleans documents",
            Self::Chunker => "Cuts documents into chunks",
            Self::Embedder => "Embeds chunks into the index",
            Self::Datasets => "Makes versioned datasets of cleaned documents",
            Self::Trainer => "Trains models on datasets",
            Self::Evaluator => "Compares trained models with the one in production",
            Self::Inference => "Answers queries",
            Self::Gateway => "Serves the REST API",
        }
    }

    /// The topic that it reads in a consumer group; none if it is no stage.
    pub fn topic(self) -> Option<Topic> {
        match self {
            Self::Cleaner => Some(Topic::DocumentsRaw),
            Self::Chunker | Self::Datasets => Some(Topic::DocumentsCleaned),
            Self::Embedder => Some(Topic::DocumentsChunked),
            Self::Trainer => Some(Topic::Datasets),
            Self::Evaluator => Some(Topic::Models),
            Self::Inference => Some(Topic::Queries),
            Self::Crawler | Self::Gateway => None,
        }
    }
}

impl FromStr for Service {
    type Err = NoService;

    fn from_str(name: &str) -> Result<Self, NoService> {
        Self::ALL.into_iter().find(|service| service.name() == name).ok_or_else(|| NoService(name.to_owned()))
    }
}
