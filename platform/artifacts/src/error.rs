use std::path::Path;

/// What can go wrong with an artifact.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder or bucket.
    #[error("artifact store: {0}")]
    Store(twin_backend::Error),
    /// The address names no store.
    #[error("{url:?} is no place for artifacts: {problem}")]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store's folder can not be made, or is not there.
    #[error("artifact folder {folder}: {source}")]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file outside the store.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Not a name that this store gave, or a path that leads out of its folder.
    #[error("{0:?} is not an artifact name (sha256:<64 hex digits>)")]
    Name(String),
    /// There is no artifact of that name.
    #[error("there is no artifact {0}")]
    Missing(String),
    /// The content is not what was written.
    #[error("artifact {0} is damaged: its content has another hash")]
    Damaged(String),
    /// The process is ending.
    #[error("the work on files was broken off: the process is ending")]
    Closed,
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Folder { .. } | Self::File { .. } | Self::Closed => true,
            Self::Url { .. } | Self::Name(_) | Self::Missing(_) | Self::Damaged(_) => false,
        }
    }

    /// Whether the disk did not take a write: it is full, or failing.
    pub fn is_of_the_disk(&self) -> bool {
        match self {
            Self::Store(error) => error.is_of_the_disk(),
            Self::Folder { source, .. } | Self::File { source, .. } => is_of_the_disk(source),
            _ => false,
        }
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as Cause;
        let kind = match &error {
            Cause::Unauthenticated { .. }
            | Cause::PermissionDenied { .. }
            | Cause::InvalidPath { .. }
            | Cause::NotSupported { .. }
            | Cause::NotImplemented { .. }
            | Cause::UnknownConfigurationKey { .. } => twin_backend::Kind::Permanent,
            _ if is_caused_by_the_disk(&error) => twin_backend::Kind::Disk,
            _ => twin_backend::Kind::Transient,
        };
        Self::Store(twin_backend::Error::new(kind, error))
    }
}

fn is_caused_by_the_disk(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(is_of_the_disk))
}

fn is_of_the_disk(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// A closure that adds the store's folder to an error.
pub(crate) fn of_folder(folder: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |source| Error::Folder { folder: folder.display().to_string(), source }
}

/// A closure that adds the path to an error of a file.
pub(crate) fn of_file(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |source| Error::File { path: path.display().to_string(), source }
}
