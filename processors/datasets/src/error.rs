use std::path::PathBuf;

use twin_schemas::{AuthorId, DocumentId};

/// What can go wrong with a dataset.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that can not work.
    #[error("datasets.build.{key} {problem}")]
    Option {
        /// The setting.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing to make a dataset of.
    #[error("{0} has no documents: register a source or push documents first")]
    NoDocuments(AuthorId),
    /// Too little to make a dataset of.
    #[error(
        "{author} has {found} training samples, a dataset needs {needed} (datasets.build.min_samples); {documents} documents \
         were read, {refused} passages refused"
    )]
    TooFewSamples {
        /// Whose.
        author: AuthorId,
        /// Training samples that there are.
        found: u64,
        /// Training samples that are needed.
        needed: u64,
        /// Documents read.
        documents: u64,
        /// Passages refused for their quality or as duplicates.
        refused: u64,
    },
    /// A sample is not what the author wrote. A mistake in this crate; the version is not made.
    #[error("line {line} of {file} is not verbatim in document {document}: {problem}")]
    NotVerbatim {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The document that it was made of.
        document: DocumentId,
        /// What is wrong with it.
        problem: String,
    },
    /// The corpus, or the leases.
    #[error(transparent)]
    Store(#[from] twin_backend::Error),
    /// The scratch file of a build.
    #[error("scratch file: {0}")]
    Scratch(#[from] rusqlite::Error),
    /// A row of the scratch file that this program did not write.
    #[error("a row of the scratch file can not be read: {0}")]
    Row(String),
    /// The artifact store.
    #[error(transparent)]
    Artifacts(#[from] twin_artifacts::Error),
    /// The registry of versions.
    #[error(transparent)]
    Registry(#[from] twin_registry::Error),
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A model that is asked for a version can not be reached now. What it has said already is kept.
    #[error("a model that is asked for the dataset can not be reached: {0}")]
    Away(#[source] twin_llm::Error),
    /// A manifest or a line of a dataset that is not one.
    #[error("json: {0}")]
    Json(#[from] serde_json::Error),
    /// The histogram can not be drawn.
    #[error("the histogram can not be drawn: {0}")]
    Drawing(String),
    /// The work panicked.
    #[error("the work on the dataset panicked; the log above says where")]
    Panicked,
}

impl Error {
    /// Whether the same call may succeed later without anything being changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Artifacts(error) => error.is_transient(),
            Self::Registry(error) => error.is_transient(),
            // A disk without room for the scratch file has some later.
            Self::Scratch(error) => matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DiskFull | rusqlite::ErrorCode::SystemIoFailure)
            ),
            Self::File { .. } | Self::Away(_) => true,
            _ => false,
        }
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
