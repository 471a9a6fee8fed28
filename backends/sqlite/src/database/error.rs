use std::path::PathBuf;

use rusqlite::ErrorCode;

/// What can go wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can not be opened.
    #[error("{path} can not be opened: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The file system does not support write-ahead logging.
    #[error("{path}: SQLite uses journal mode {mode:?} instead of WAL; put the data folder on a local file system")]
    NoWal {
        /// The file.
        path: PathBuf,
        /// The journal mode that it uses instead.
        mode: String,
    },
    /// The file was written by a later version.
    #[error("the {component} tables are of version {found}, this program knows up to {known}: run a newer twin")]
    Newer {
        /// Whose tables.
        component: String,
        /// The file's version.
        found: u32,
        /// The program's.
        known: u32,
    },
    /// A statement failed.
    #[error("sqlite: {0}")]
    Statement(rusqlite::Error),
    /// The file is damaged.
    #[error("the database is damaged ({0}): stop the twin and restore a backup, see docs/operations.md")]
    Damaged(String),
    /// SQLite made an end of the transaction, and the work did not pass on why.
    #[error("the transaction was undone while it was written")]
    Undone,
    /// The work panicked.
    #[error("the work on the database panicked; the log above says where")]
    Panicked,
    /// The writer has ended.
    #[error("the database is closed")]
    Closed,
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Statement(error),
        }
    }
}

impl Error {
    /// Whether the disk did not take a write: it is full, or failing.
    pub fn is_of_the_disk(&self) -> bool {
        let Self::Statement(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure))
    }

    /// Whether the same call may succeed later: the file is busy, the disk is full, the transaction was undone.
    pub fn is_transient(&self) -> bool {
        let Self::Statement(error) = self else { return matches!(self, Self::Undone) };
        matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::OutOfMemory
            )
        )
    }
}

impl From<Error> for twin_backend::Error {
    fn from(error: Error) -> Self {
        let kind = if error.is_of_the_disk() {
            twin_backend::Kind::Disk
        } else if error.is_transient() {
            twin_backend::Kind::Transient
        } else {
            twin_backend::Kind::Permanent
        };
        Self::new(kind, error)
    }
}
