//! What is in the store, and how it leaves.

use std::fs;
use std::io::{Error as IoError, ErrorKind};
use std::path::Path;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use futures::{Stream, TryStreamExt};
use object_store::ObjectStoreExt;

use crate::error::of_file;
use crate::files::blocking;
use crate::{Artifacts, Error, is_digest, name_of_object, object_path};

/// What the name of a file ends with while it is being deleted. No artifact is listed under such a name.
const LEAVING: &str = "leaving";

/// An artifact that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was last stored.
    pub modified: DateTime<Utc>,
}

impl Artifacts {
    /// All artifacts, in no order, read from the store as they are asked for. One that is stored or deleted meanwhile may
    /// be among them.
    pub fn list(&self) -> impl Stream<Item = Result<Stored, Error>> + Send + 'static {
        self.store.list(None).map_err(Error::from).try_filter_map(async |object| {
            let name = name_of_object(&object.location);
            Ok(name.map(|name| Stored { name, bytes: object.size, modified: object.last_modified }))
        })
    }

    /// Deletes an artifact. One that is not there is deleted already.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        match self.store.delete(&object_path(name)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes an artifact that nobody has stored at `since` or later, and says whether it did. In a folder no moment is
    /// left in which somebody could store it anew and lose it.
    pub async fn delete_unless_written_since(&self, name: &str, since: DateTime<Utc>) -> Result<bool, Error> {
        let object = object_path(name)?;
        if let Some(folder) = &self.folder {
            let path = folder.join(object.as_ref());
            return blocking(move || delete_old(&path, since.into()).map_err(of_file(&path))).await;
        }
        match self.store.head(&object).await {
            Ok(found) if found.last_modified < since => self.delete(name).await.map(|()| true),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what writers have left that died before `since`, and returns how many bytes that was.
    pub async fn delete_leftovers(&self, since: DateTime<Utc>) -> Result<u64, Error> {
        let Some(folder) = self.folder.clone() else { return Ok(0) };
        blocking(move || delete_leftovers(&folder, since.into()).map_err(of_file(&folder))).await
    }
}

/// Takes the file away before its time is looked at for good: who stores the same meanwhile finds nothing and writes it
/// anew, or has made it new just before, and it comes back.
fn delete_old(path: &Path, since: SystemTime) -> Result<bool, IoError> {
    if !is_older(path, since)? {
        return Ok(false);
    }
    let leaving = path.with_extension(LEAVING);
    match fs::rename(path, &leaving) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        renamed => renamed?,
    }
    if !is_older(&leaving, since)? {
        bring_back(&leaving, path)?;
        return Ok(false);
    }
    fs::remove_file(&leaving)?;
    Ok(true)
}

/// Whether the file is there and was written before `since`.
fn is_older(path: &Path, since: SystemTime) -> Result<bool, IoError> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.modified()? < since),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn bring_back(leaving: &Path, path: &Path) -> Result<(), IoError> {
    match fs::hard_link(leaving, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::remove_file(leaving)
}

/// Uploads that were never finished go (`<digest>#<number>`); deletions that were never finished are undone.
fn delete_leftovers(folder: &Path, since: SystemTime) -> Result<u64, IoError> {
    let mut bytes = 0;
    for level in fs::read_dir(folder)? {
        let level = level?;
        if !level.file_type()?.is_dir() {
            continue;
        }
        for entry in fs::read_dir(level.path())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.strip_suffix(LEAVING).and_then(|name| name.strip_suffix('.')).is_some_and(is_digest) {
                bring_back(&path, &path.with_extension(""))?;
            } else if name.split_once('#').is_some_and(|(digest, _)| is_digest(digest)) && is_older(&path, since)? {
                bytes += fs::metadata(&path)?.len();
                fs::remove_file(&path)?;
            }
        }
    }
    Ok(bytes)
}
