//! Files of a job, each written as a whole.

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;

pub(super) const ORDER: &str = "order.json";
pub(super) const PROGRESS: &str = "progress.json";
pub(super) const OUTCOME: &str = "outcome.json";
pub(super) const LOCK: &str = "lock";
pub(super) const LOG: &str = "log";
/// The number of the job's highest attempt.
pub(super) const ATTEMPT: &str = "attempt";
/// Beside the jobs' folders: locked while an attempt is compared and what follows from it is done. No job has that name.
pub(super) const FENCE: &str = ".fence";

/// Writes a value so that a reader sees all of it or the one before. `durable`: it survives a power failure.
pub(super) fn write(path: &Path, value: &impl Serialize, durable: bool) -> Result<(), Error> {
    let of_file = |source| Error::File { path: path.to_owned(), source };
    let text = serde_json::to_vec(value).map_err(|source| Error::Json { path: path.to_owned(), source })?;
    let draft = path.with_extension("draft");
    let mut file = std::fs::File::create(&draft).map_err(of_file)?;
    file.write_all(&text).map_err(of_file)?;
    if durable {
        file.sync_all().map_err(of_file)?;
    }
    std::fs::rename(&draft, path).map_err(of_file)
}

/// The value in a file, if the file is there.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    match std::fs::read(path) {
        Ok(text) => {
            serde_json::from_slice(&text).map(Some).map_err(|source| Error::Json { path: path.to_owned(), source })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File { path: path.to_owned(), source }),
    }
}
