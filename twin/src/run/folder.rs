//! The data folder and its lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A data folder that this process may use, until it is dropped.
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if it is not there and takes its lock: alone, or with other processes that share the log.
    pub fn open(path: &Path, shared: bool) -> Result<Self> {
        std::fs::create_dir_all(path).with_context(|| format!("the data folder {} can not be made", path.display()))?;
        let lock_path = path.join("twin.lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .with_context(|| format!("{} can not be opened", lock_path.display()))?;
        let locked = if shared { lock.try_lock_shared() } else { lock.try_lock() };
        match locked {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!(
                "the data folder {} is in use by another twin: stop it, or give this one its own with --data{}",
                path.display(),
                if shared { "" } else { " (several processes on one folder need --log kafka://…)" }
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{} can not be locked", lock_path.display()))
            }
        }
    }

    /// The database of documents, index and embedded log.
    pub fn database(&self) -> PathBuf {
        self.path.join("twin.db")
    }

    /// Payloads too large for the log.
    pub fn artifacts(&self) -> PathBuf {
        self.path.join("artifacts")
    }
}
