//! Files by content hash: payloads too large for the log, later datasets and models.
//!
//! Promises: a name is the SHA-256 of the content, so that writing twice is writing once and a read that returns
//! is the content that was written (it is checked). A write is in place as a whole or not at all.
//!
//! Deliberately not here: what the content means, and when it may go.

mod content;
mod folder;

pub use content::Content;
pub use folder::FolderFile;

use std::path::Path;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};

/// What can go wrong with an artifact.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder or bucket.
    #[error("artifact store: {0}")]
    Store(#[from] object_store::Error),
    /// The folder can not be made.
    #[error("artifact folder {folder}: {source}")]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file outside the store.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Not a name that this store gave.
    #[error("{0:?} is not an artifact name (sha256:<64 hex digits>)")]
    Name(String),
    /// The content is not what was written.
    #[error("artifact {0} is damaged: its content has another hash")]
    Damaged(String),
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Name(_) | Self::Damaged(_) | Self::Store(object_store::Error::NotFound { .. }))
    }
}

/// A store of artifacts; clones share it.
#[derive(Debug, Clone)]
pub struct Artifacts {
    store: Arc<dyn ObjectStore>,
    /// Where the objects lie, if that is a folder.
    folder: Option<std::path::PathBuf>,
}

impl Artifacts {
    /// Artifacts in a folder, made if it is not there.
    pub fn in_folder(folder: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(folder)
            .map_err(|source| Error::Folder { folder: folder.display().to_string(), source })?;
        let store = Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true));
        Ok(Self { store, folder: Some(folder.to_owned()) })
    }

    /// Stores the content and returns its name.
    pub async fn put(&self, content: Vec<u8>) -> Result<String, Error> {
        let name = name_of(&content);
        self.store.put(&object_path(&name)?, PutPayload::from(content)).await?;
        Ok(name)
    }

    /// The content of that name.
    pub async fn get(&self, name: &str) -> Result<Vec<u8>, Error> {
        let content = self.store.get(&object_path(name)?).await?.bytes().await?.to_vec();
        if name_of(&content) != name {
            return Err(Error::Damaged(name.to_owned()));
        }
        Ok(content)
    }
}

fn name_of(content: &[u8]) -> String {
    name_of_hash(Sha256::new_with_prefix(content))
}

fn name_of_hash(hasher: Sha256) -> String {
    format!("sha256:{}", hex::encode(hasher.finalize()))
}

/// Two levels, so that no folder grows without bound.
fn object_path(name: &str) -> Result<ObjectPath, Error> {
    let digest = name.strip_prefix("sha256:").filter(|digest| {
        digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    });
    let digest = digest.ok_or_else(|| Error::Name(name.to_owned()))?;
    Ok(ObjectPath::from(format!("{}/{}", &digest[..2], digest)))
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
        assert!(!absent.is_transient(), "{absent}");
    }
}
