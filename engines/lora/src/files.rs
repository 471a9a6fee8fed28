//! Files that are complete or not there: written, hashed and flushed to disk before they get their names.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::warn;

use super::error::Error;

/// A file within a folder, and what it must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileEntry {
    /// Its path within the folder, with `/`.
    pub path: String,
    /// Its SHA-256, 64 hex digits.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// Writes a file and knows its hash at the end.
pub(crate) struct HashedFile<'a> {
    path: &'a Path,
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl<'a> HashedFile<'a> {
    pub fn create(path: &'a Path) -> Result<Self, Error> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(Error::at(parent))?;
        }
        let file = File::create(path).map_err(Error::at(path))?;
        Ok(Self { path, file: BufWriter::new(file), hash: Sha256::new(), bytes: 0 })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(Error::at(self.path))
    }

    /// Flushes to disk. `name` is the path within the folder.
    pub fn finish(self, name: &str) -> Result<FileEntry, Error> {
        let file = self.file.into_inner().map_err(|error| error.into_error()).map_err(Error::at(self.path))?;
        file.sync_all().map_err(Error::at(self.path))?;
        Ok(FileEntry { path: name.to_owned(), sha256: hex::encode(self.hash.finalize()), bytes: self.bytes })
    }
}

/// Writes `folder/name` whole.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<FileEntry, Error> {
    let path = folder.join(name);
    let mut file = HashedFile::create(&path)?;
    file.write(bytes)?;
    file.finish(name)
}

/// The hash of a file, as hex digits.
pub(crate) fn sha256(path: &Path) -> Result<String, Error> {
    let mut file = File::open(path).map_err(Error::at(path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(Error::at(path))?;
        if read == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&buffer[..read]);
    }
}

/// Gives a finished folder its name, in place of a folder that has it.
pub(crate) fn publish(partial: &Path, folder: &Path) -> Result<(), Error> {
    sync(partial)?;
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(Error::at(folder))?;
    }
    std::fs::rename(partial, folder).map_err(Error::at(folder))?;
    folder.parent().map_or(Ok(()), sync)
}

/// An empty folder, whatever was there.
pub(crate) fn fresh(folder: &Path) -> Result<(), Error> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(Error::at(folder))?;
    }
    std::fs::create_dir_all(folder).map_err(Error::at(folder))
}

/// Removes a folder that could not be finished. On a disk that is full it holds the room in which to say so.
pub(crate) fn discard(partial: &Path) {
    if partial.exists()
        && let Err(error) = std::fs::remove_dir_all(partial)
    {
        warn!(folder = %partial.display(), %error, "what was half-written could not be removed");
    }
}

/// Flushes a folder's entries: without, a name may be lost in a power cut.
fn sync(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::at(folder))
}
