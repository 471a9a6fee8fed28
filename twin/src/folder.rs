//! The data folder and its locks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use uuid::Uuid;

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
        artifacts_of(&self.path)
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

/// Where a data folder has its artifacts, for the child processes of the twin that has its lock.
pub fn artifacts_of(data: &Path) -> PathBuf {
    data.join("artifacts")
}

/// A name among the processes that use the folder, which is this process's until it is dropped.
pub struct NodeName {
    name: String,
    _lock: File,
}

impl NodeName {
    /// Takes the first name that no running process has. So a process that is started after one has ended has its name,
    /// and goes on at once with the work that it held.
    pub fn take(folder: &DataFolder) -> Result<Self> {
        let names = folder.path.join("nodes");
        std::fs::create_dir_all(&names).with_context(|| format!("{} can not be made", names.display()))?;
        let mut number = 0_u32;
        loop {
            let mut lock = open_lock(&names, &number.to_string())?;
            match lock.try_lock() {
                Ok(()) => {
                    let name = read_or_write_name(&mut lock).with_context(|| names.display().to_string())?;
                    return Ok(Self { name, _lock: lock });
                }
                Err(TryLockError::WouldBlock) => number += 1,
                Err(TryLockError::Error(error)) => return Err(error).context("the data folder can not be locked"),
            }
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

fn read_or_write_name(file: &mut File) -> Result<String> {
    let mut name = String::new();
    file.read_to_string(&mut name)?;
    if Uuid::parse_str(&name).is_err() {
        name = Uuid::new_v4().to_string();
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(name.as_bytes())?;
        file.sync_all()?;
    }
    Ok(name)
}

fn open_lock(folder: &Path, name: &str) -> Result<File> {
    let path = folder.join(name);
    let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_name_of_its_own_and_the_next_has_that_of_one_that_ended() {
        let place = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(place.path(), true).unwrap();
        let (first, second) = (NodeName::take(&folder).unwrap(), NodeName::take(&folder).unwrap());
        assert_ne!(first.as_str(), second.as_str());
        let name = first.as_str().to_owned();
        drop(first);
        assert_eq!(NodeName::take(&folder).unwrap().as_str(), name);
    }
}
