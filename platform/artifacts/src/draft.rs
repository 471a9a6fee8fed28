//! Folders that are being made, each attempt in one of its own.
//!
//! Whoever makes a draft holds a lock on it, which the system gives back when the process is gone: a draft that can be
//! locked is one that nobody works on.

use std::fs::File;
use std::io::{Error as IoError, ErrorKind};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use uuid::Uuid;

use crate::Error;
use crate::error::of_file;

/// What the name of a draft ends with.
const PARTIAL: &str = ".partial";

/// A folder beside the one that it is to become. Dropped, it is left for the next attempt to remove.
pub(crate) struct Draft {
    path: PathBuf,
    _lock: File,
}

impl Draft {
    /// A draft of `folder`, empty. Those that dead attempts have left are removed.
    pub(crate) fn of(folder: &Path) -> Result<Self, Error> {
        let parent = folder.parent().unwrap_or(Path::new(""));
        std::fs::create_dir_all(parent).map_err(of_file(parent))?;
        remove_dead(folder, parent).map_err(of_file(parent))?;
        loop {
            let path = parent.join(format!("{}{}{PARTIAL}", prefix(folder), Uuid::new_v4().simple()));
            std::fs::create_dir(&path).map_err(of_file(&path))?;
            // Until it is locked it looks like one of the dead.
            if let Some(lock) = lock(&path).map_err(of_file(&path))? {
                return Ok(Self { path, _lock: lock });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in the place of `folder`. What is there already stays if it is the same: another attempt was faster. What
    /// is there and differs is exchanged in one step: whoever has its files open reads on, and whoever opens them by name
    /// finds either these or those.
    pub(crate) fn publish(self, folder: &Path, is_the_same: impl Fn(&Path) -> bool) -> Result<(), Error> {
        match std::fs::rename(&self.path, folder) {
            Ok(()) => return Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {}
            Err(error) => return Err(of_file(folder)(error)),
        }
        if !is_the_same(folder) {
            exchange(&self.path, folder).map_err(of_file(folder))?;
        }
        self.remove()
    }

    pub(crate) fn remove(self) -> Result<(), Error> {
        remove(&self.path).map_err(of_file(&self.path))
    }
}

/// What the names of a folder's drafts begin with.
fn prefix(folder: &Path) -> String {
    format!("{}.", folder.file_name().unwrap_or_default().to_string_lossy())
}

fn remove_dead(folder: &Path, parent: &Path) -> Result<(), IoError> {
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let prefix = prefix(folder);
    for entry in std::fs::read_dir(parent)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_draft = name.starts_with(&prefix) && name.ends_with(PARTIAL);
        if is_draft && let Some(_lock) = lock(&path)? {
            remove(&path)?;
        }
    }
    Ok(())
}

/// The lock of a folder that is there and that nobody else has locked.
fn lock(path: &Path) -> Result<Option<File>, IoError> {
    let folder = match File::open(path) {
        Ok(folder) => folder,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match folder.try_lock() {
        // Who held it before may have removed the folder.
        Ok(()) => Ok(path.exists().then_some(folder)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

fn exchange(draft: &Path, folder: &Path) -> Result<(), IoError> {
    match renameat2(AT_FDCWD, draft, AT_FDCWD, folder, RenameFlags::RENAME_EXCHANGE) {
        // A file system that has no exchange: for a moment there is no folder.
        Err(Errno::EINVAL | Errno::ENOSYS) => {
            let aside = draft.with_extension(format!("aside{PARTIAL}"));
            std::fs::rename(folder, &aside)?;
            std::fs::rename(draft, folder)?;
            std::fs::rename(&aside, draft)
        }
        exchanged => Ok(exchanged?),
    }
}

fn remove(folder: &Path) -> Result<(), IoError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
