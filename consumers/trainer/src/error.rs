use std::path::PathBuf;

use twin_lora::found_no_room;

/// What can go wrong around a training job.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] twin_registry::Error),
    /// The leases.
    #[error(transparent)]
    Lease(#[from] twin_backend::Error),
    /// A dataset's or model's files.
    #[error(transparent)]
    Artifact(#[from] twin_artifacts::Error),
    /// The job's folder or process.
    #[error(transparent)]
    Job(#[from] twin_jobs::Error),
    /// The engine, a recipe, a model.
    #[error(transparent)]
    Engine(#[from] twin_lora::Error),
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
            Self::Engine(error) => error.is_of_a_full_disk(),
            Self::File { source, .. } => found_no_room(source),
            Self::Artifact(error) => error.is_of_the_disk(),
            Self::Registry(_) | Self::Lease(_) | Self::Job(_) | Self::Refused(_) => false,
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_transient(),
            Self::Lease(error) => error.is_transient(),
            Self::Artifact(error) => error.is_transient(),
            Self::Job(_) | Self::File { .. } => true,
            Self::Engine(error) => error.is_transient(),
            Self::Refused(_) => false,
        }
    }
}
