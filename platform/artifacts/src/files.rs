//! Files on this machine, looked at where that may take its time.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::of_file;
use crate::{Error, name_of_hash};

/// Bytes of a file held in memory at a time.
pub(crate) const BLOCK: usize = 4 << 20;

/// Runs `work` off the runtime's threads.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::Closed),
    }
}

/// The name of a file's content, and its length.
pub(crate) fn hash(path: &Path) -> Result<(String, u64), Error> {
    let mut source = File::open(path).map_err(of_file(path))?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut bytes = 0;
    loop {
        let read = source.read(&mut block).map_err(of_file(path))?;
        if read == 0 {
            return Ok((name_of_hash(hasher), bytes));
        }
        bytes += read as u64;
        hasher.update(&block[..read]);
    }
}

/// Whether what lies there is the artifact's content.
pub(crate) fn is_whole(path: &Path, artifact: &str) -> bool {
    hash(path).is_ok_and(|(found, _)| found == artifact)
}

/// The files below a folder, as paths from it, sorted.
pub(crate) fn below(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(relative) = open.pop() {
        let path = folder.join(&relative);
        for entry in std::fs::read_dir(&path).map_err(of_file(&path))? {
            let entry = entry.map_err(of_file(&path))?;
            let kind = entry.file_type().map_err(of_file(&entry.path()))?;
            let target = if kind.is_dir() { &mut open } else { &mut found };
            target.push(relative.join(entry.file_name()));
        }
    }
    found.sort();
    Ok(found)
}
