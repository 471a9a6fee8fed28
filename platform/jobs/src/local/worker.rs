//! The child's side.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::files::{self, LOCK, ORDER, OUTCOME, PROGRESS};
use super::{Error, Outcome, Submission, children};

/// A process that works on a job, until it is dropped.
pub struct Worker {
    folder: PathBuf,
    _lock: File,
}

impl Worker {
    /// Takes the job of that folder, alone.
    pub fn begin(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(LOCK);
        let of_file = |source| Error::File { path: path.clone(), source };
        let mut lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(of_file)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy(folder.to_owned())),
            Err(TryLockError::Error(source)) => return Err(of_file(source)),
        }
        lock.set_len(0).map_err(of_file)?;
        lock.rewind().map_err(of_file)?;
        lock.write_all(&children::identity(std::process::id())).map_err(of_file)?;
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    /// The job's folder, for files of the work's own.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is to be done.
    pub fn order<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let path = self.folder.join(ORDER);
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let submission: Option<Submission<T>> = files::read(&path)?;
        let submission = submission.ok_or_else(|| Error::File { path: path.clone(), source: missing() })?;
        Ok(submission.order)
    }

    /// Says how far the work is.
    pub fn progress(&self, progress: &impl Serialize) -> Result<(), Error> {
        files::write(&self.folder.join(PROGRESS), progress, false)
    }

    /// Says how it ended.
    pub fn finish<P: Serialize>(&self, outcome: &Outcome<P>) -> Result<(), Error> {
        files::write(&self.folder.join(OUTCOME), outcome, true)
    }
}
