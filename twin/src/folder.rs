//! The data folder and its locks.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const DATABASE: &str = "twin.db";
/// Holds the kind of event log that the folder's twin was last started with.
const LOG_KIND: &str = "log.kind";

/// A data folder that this process may use, until it is dropped.
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if it is not there and takes its lock: alone, or with other processes that share the log.
    pub fn open(path: &Path, shared: bool) -> Result<Self> {
        std::fs::create_dir_all(path).with_context(|| format!("the data folder {} can not be made", path.display()))?;
        let lock = open_lock(path, "twin.lock")?;
        let locked = if shared { lock.try_lock_shared() } else { lock.try_lock() };
        let in_use = || {
            format!(
                "the data folder {} is in use by another twin: stop it, or give this one its own with --data{}",
                path.display(),
                if shared { "" } else { " (several processes on one folder need --log kafka://…)" }
            )
        };
        Ok(Self { path: path.to_owned(), _lock: held(lock, locked, in_use)? })
    }

    /// The folder of a twin that may be running, for `twin reindex`; for one at a time.
    pub fn open_for_reindex(path: &Path) -> Result<Self> {
        Self::open_beside(path, "reindex.lock", "twin reindex")
    }

    /// The folder of a twin that may be running, for `twin artifacts gc`; for one at a time.
    pub fn open_for_gc(path: &Path) -> Result<Self> {
        Self::open_beside(path, "gc.lock", "twin artifacts gc")
    }

    fn open_beside(path: &Path, lock: &str, command: &str) -> Result<Self> {
        let folder = |lock| Self { path: path.to_owned(), _lock: lock };
        if !path.join(DATABASE).is_file() {
            bail!("{} holds no twin's data: set `data` or --data to the folder that the twin runs on", path.display());
        }
        let lock = open_lock(path, lock)?;
        let locked = lock.try_lock();
        held(lock, locked, || format!("another `{command}` is at work on {}", path.display())).map(folder)
    }

    /// Notes which kind of event log the folder's twin has, for [`DataFolder::require_log`].
    pub fn note_log(&self, kind: &str) -> Result<()> {
        let path = self.path.join(LOG_KIND);
        std::fs::write(&path, kind).with_context(|| path.display().to_string())
    }

    /// An error where the folder's twin had another kind of event log when it was last started.
    pub fn require_log(&self, kind: &str) -> Result<()> {
        let noted = match std::fs::read_to_string(self.path.join(LOG_KIND)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            noted => noted.with_context(|| self.path.join(LOG_KIND).display().to_string())?,
        };
        if noted != kind {
            let folder = self.path.display();
            bail!("the twin of {folder} has its event log in {noted}, not in {kind}: set `log.url` or --log as for it");
        }
        Ok(())
    }

    /// The database of documents, index and embedded log.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Files by their content: payloads too large for the log, datasets, models.
    pub fn artifacts(&self) -> PathBuf {
        self.path.join("artifacts")
    }

    /// Model versions as directories.
    pub fn models(&self) -> PathBuf {
        self.path.join("models")
    }

    /// The folders of child processes.
    pub fn jobs(&self) -> PathBuf {
        self.path.join("jobs")
    }
}

fn open_lock(folder: &Path, name: &str) -> Result<File> {
    let path = folder.join(name);
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    opened.with_context(|| format!("{} can not be opened", path.display()))
}

/// The lock, if it was taken.
fn held(lock: File, locked: Result<(), TryLockError>, in_use: impl FnOnce() -> String) -> Result<File> {
    match locked {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => bail!("{}", in_use()),
        Err(TryLockError::Error(error)) => Err(error).context("the data folder can not be locked"),
    }
}
