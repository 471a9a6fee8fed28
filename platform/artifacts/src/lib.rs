//! Files by content hash: payloads too large for the log, datasets, models, reports.
//!
//! Promises: a name is the SHA-256 of the content, so that writing twice is writing once and a read that returns
//! is the content that was written (it is checked). A write is in place as a whole or not at all. Whoever has been told
//! that something is stored has made it new: what was stored long ago and is stored again counts from then on, so that
//! [`Artifacts::delete_unless_written_since`] never takes what somebody is about to name.
//!
//! Where artifacts are is an address ([`Artifacts::open`]); what every place must do is checked by
//! [`contract`]. Work that takes long
//! (hashing, links, folders) is done off the runtime's threads.
//!
//! Deliberately not here: what the content means, and which names are still in use.

mod content;
pub mod contract;
mod draft;
mod error;
mod fetch;
mod files;
mod folder;
mod place;
mod stock;

pub use content::Content;
pub use error::Error;
pub use folder::FolderFile;
pub use stock::Stored;

use std::path::PathBuf;
use std::sync::Arc;

use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};

use crate::error::of_folder;
use crate::files::blocking;

/// A store of artifacts; clones share it.
#[derive(Debug, Clone)]
pub struct Artifacts {
    store: Arc<dyn ObjectStore>,
    /// Where the objects lie, if that is a folder.
    folder: Option<PathBuf>,
}

impl Artifacts {
    /// Stores the content and returns its name.
    pub async fn put(&self, content: Vec<u8>) -> Result<String, Error> {
        let (content, name) = named(content).await?;
        self.require_place().await?;
        self.store.put(&object_path(&name)?, PutPayload::from(content)).await?;
        Ok(name)
    }

    /// The content of that name.
    pub async fn get(&self, name: &str) -> Result<Vec<u8>, Error> {
        let stored = match self.store.get(&object_path(name)?).await {
            Ok(stored) => stored.bytes().await,
            Err(error) => Err(error),
        };
        let content = match stored {
            Ok(content) => content.to_vec(),
            Err(error) => return Err(self.failed(name, error).await),
        };
        let (content, found) = named(content).await?;
        if found == name { Ok(content) } else { Err(Error::Damaged(name.to_owned())) }
    }

    /// Why nothing can be read under that name. Nothing is missing from a store that is not there itself.
    async fn failed(&self, name: &str, error: object_store::Error) -> Error {
        match error {
            object_store::Error::NotFound { .. } => match self.require_place().await {
                Ok(()) => Error::Missing(name.to_owned()),
                Err(away) => away,
            },
            error => error.into(),
        }
    }

    /// An error where the store's folder is away. To write would begin another in its place.
    async fn require_place(&self) -> Result<(), Error> {
        let Some(folder) = &self.folder else { return Ok(()) };
        tokio::fs::read_dir(folder).await.map(drop).map_err(of_folder(folder))
    }
}

/// The content, and the name that it has.
async fn named(content: Vec<u8>) -> Result<(Vec<u8>, String), Error> {
    blocking(move || {
        let name = name_of_hash(Sha256::new_with_prefix(&content));
        Ok((content, name))
    })
    .await
}

fn name_of_hash(hasher: Sha256) -> String {
    format!("sha256:{}", hex::encode(hasher.finalize()))
}

/// Two levels, so that no folder grows without bound.
fn object_path(name: &str) -> Result<ObjectPath, Error> {
    let digest = name.strip_prefix("sha256:").filter(|digest| is_digest(digest));
    let digest = digest.ok_or_else(|| Error::Name(name.to_owned()))?;
    Ok(ObjectPath::from(format!("{}/{}", &digest[..2], digest)))
}

/// The name of what lies there, if that is an artifact.
fn name_of_object(path: &ObjectPath) -> Option<String> {
    let name = format!("sha256:{}", path.filename()?);
    object_path(&name).is_ok_and(|expected| expected == *path).then_some(name)
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_read_is_what_was_written_or_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::in_folder(folder.path()).unwrap();
        let name = artifacts.put(b"content".to_vec()).await.unwrap();
        assert_eq!(artifacts.put(b"content".to_vec()).await.unwrap(), name);
        assert_eq!(artifacts.get(&name).await.unwrap(), b"content");

        let digest = name.strip_prefix("sha256:").unwrap();
        std::fs::write(folder.path().join(&digest[..2]).join(digest), b"other").unwrap();
        assert!(matches!(artifacts.get(&name).await, Err(Error::Damaged(_))));
        assert!(matches!(artifacts.get("sha256:../../etc/passwd").await, Err(Error::Name(_))));
        let absent = artifacts.get(&format!("sha256:{}", "0".repeat(64))).await.unwrap_err();
        assert!(matches!(absent, Error::Missing(_)) && !absent.is_transient(), "{absent}");
    }

    #[tokio::test]
    async fn nothing_is_lost_while_the_whole_store_is_away() {
        let home = tempfile::tempdir().unwrap();
        let (folder, away) = (home.path().join("artifacts"), home.path().join("away"));
        let artifacts = Artifacts::in_folder(&folder).unwrap();
        let name = artifacts.put(b"content".to_vec()).await.unwrap();
        std::fs::rename(&folder, &away).unwrap();
        let (got, read) = (artifacts.get(&name).await.unwrap_err(), artifacts.read(&name).await.unwrap_err());
        let put = artifacts.put(b"other".to_vec()).await.unwrap_err();
        assert!([&got, &read, &put].iter().all(|error| error.is_transient()), "{got}, {read}, {put}");
        std::fs::rename(&away, &folder).unwrap();
        assert_eq!(artifacts.get(&name).await.unwrap(), b"content");
    }
}
