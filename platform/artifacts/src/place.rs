//! Where artifacts are kept. Here alone a backend is chosen: another one (a bucket) is one more scheme.

use std::path::Path;
use std::sync::Arc;

use object_store::local::LocalFileSystem;

use crate::error::of_folder;
use crate::{Artifacts, Error};

/// The address of a folder begins with it; a path follows.
const FOLDER: &str = "folder:";

impl Artifacts {
    /// The artifacts at an address: `folder:` and a path. A folder is made if it is not there, so this is for the start
    /// of a process.
    pub fn open(url: &str) -> Result<Self, Error> {
        Self::in_folder(folder_of(url)?)
    }

    /// As [`Self::open`], for a store that others have begun: one that is away for a while is not begun anew in its
    /// place.
    pub fn open_existing(url: &str) -> Result<Self, Error> {
        Self::existing(folder_of(url)?)
    }

    /// The address of a folder.
    pub fn url_of_folder(folder: &Path) -> String {
        format!("{FOLDER}{}", folder.display())
    }

    /// Artifacts in a folder, made if it is not there.
    pub fn in_folder(folder: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(of_folder(folder))?;
        Self::existing(folder)
    }

    /// Artifacts in a folder that must be there: one that is away for a while is not begun anew in its place.
    pub fn existing(folder: &Path) -> Result<Self, Error> {
        std::fs::read_dir(folder).map_err(of_folder(folder))?;
        let store = Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true));
        Ok(Self { store, folder: Some(folder.to_owned()) })
    }
}

/// The folder that an address names.
fn folder_of(url: &str) -> Result<&Path, Error> {
    match url.strip_prefix(FOLDER) {
        Some("") => Err(Error::Url { url: url.to_owned(), problem: "it names no folder".to_owned() }),
        Some(path) => Ok(Path::new(path)),
        None => Err(Error::Url { url: url.to_owned(), problem: format!("it must begin with `{FOLDER}`") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_names_a_store_or_says_what_is_wrong_with_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("artifacts");
        let url = Artifacts::url_of_folder(&folder);
        let early = Artifacts::open_existing(&url).unwrap_err();
        assert!(early.is_transient() && !folder.exists(), "{early}");
        let named = Artifacts::open(&url).unwrap();
        let name = named.put(b"content".to_vec()).await.unwrap();
        assert_eq!(Artifacts::in_folder(&folder).unwrap().get(&name).await.unwrap(), b"content");
        assert!(Artifacts::open_existing(&url).unwrap().get(&name).await.is_ok());
        let away = Artifacts::existing(&home.path().join("away")).unwrap_err();
        assert!(away.is_transient() && !home.path().join("away").exists(), "{away}");
        for wrong in ["folder:", "s3://bucket", "/tmp/artifacts", ""] {
            for error in [Artifacts::open(wrong).unwrap_err(), Artifacts::open_existing(wrong).unwrap_err()] {
                assert!(matches!(error, Error::Url { .. }) && !error.is_transient(), "{wrong}: {error}");
            }
        }
    }
}
