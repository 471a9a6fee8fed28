//! What a process can do.

use clap::ValueEnum;

/// What a process can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
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

impl Service {
    /// Every service.
    pub(super) const ALL: [Self; 9] = [
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

    /// The parts of readiness that it will report.
    pub(super) fn parts(self) -> &'static [&'static str] {
        match self {
            // A source that fails does not make the process unfit; its last sync says so.
            Self::Crawler => &[],
            Self::Cleaner => &["cleaner"],
            Self::Chunker => &["chunker"],
            Self::Embedder => &["embedder"],
            Self::Datasets => &["datasets"],
            Self::Trainer => &["trainer"],
            Self::Evaluator => &["evaluator"],
            Self::Inference => &["llm", "inference"],
            Self::Gateway => &["gateway"],
        }
    }

    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
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
}
