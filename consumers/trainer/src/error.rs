use std::path::PathBuf;

use twin_backend::Kind;

/// What can go wrong around a training job.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry, or a manifest that it names.
    #[error(transparent)]
    Registry(#[from] twin_registry::Error),
    /// A dataset's or model's files.
    #[error(transparent)]
    Artifact(#[from] twin_artifacts::Error),
    /// The job's folder or process.
    #[error(transparent)]
    Job(#[from] twin_jobs::Error),
    /// A recipe, a sweep or the base model.
    #[error(transparent)]
    Training(#[from] twin_training::Error),
    /// The engine.
    #[error("{0}")]
    Engine(twin_backend::Error),
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What was asked for can not be done; says why and what to do.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// Whether a file found no room.
    pub fn is_of_a_full_disk(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_of_the_disk(),
            Self::File { source, .. } => found_no_room(source),
            Self::Artifact(error) => error.is_of_the_disk(),
            Self::Registry(_) | Self::Job(_) | Self::Training(_) | Self::Refused(_) => false,
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_transient(),
            Self::Artifact(error) => error.is_transient(),
            Self::Job(error) => error.is_transient(),
            Self::Training(error) => error.is_transient(),
            Self::Engine(error) => error.is_transient(),
            Self::File { .. } => true,
            Self::Refused(_) => false,
        }
    }
}

impl From<Error> for twin_backend::Error {
    fn from(error: Error) -> Self {
        let kind = match (error.is_transient(), error.is_of_a_full_disk()) {
            (true, true) => Kind::Disk,
            (true, false) => Kind::Transient,
            (false, _) => Kind::Permanent,
        };
        Self::new(kind, error)
    }
}

/// Whether the disk or the quota is full, or the process may write no longer file.
fn found_no_room(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}
