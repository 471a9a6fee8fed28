//! Files and folders of this machine into the store: models, and everything else that is too large to be held in memory.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use object_store::{ObjectStoreExt, WriteMultipart};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;

use crate::error::of_file;
use crate::files::{BLOCK, below, blocking, hash, is_whole};
use crate::{Artifacts, Error, object_path};

/// A file of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderFile {
    /// Its path within the folder, with `/` between names.
    pub path: String,
    /// The artifact that holds its content.
    pub artifact: String,
    /// Its length.
    pub bytes: u64,
}

impl FolderFile {
    /// What a file on this machine is, under its own name.
    pub async fn of(path: &Path) -> Result<Self, Error> {
        let file = path.to_owned();
        let (artifact, bytes) = blocking(move || hash(&file)).await?;
        let path = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { path, artifact, bytes })
    }
}

impl Artifacts {
    /// Stores a file, a block at a time. A stored one that was damaged since is replaced, and one that is whole is new
    /// again.
    pub async fn put_file(&self, path: &Path) -> Result<FolderFile, Error> {
        let file = FolderFile::of(path).await?;
        let target = object_path(&file.artifact)?;
        if let Some(folder) = &self.folder {
            let (stored, artifact) = (folder.join(target.as_ref()), file.artifact.clone());
            if blocking(move || Ok(is_renewed(&stored, &artifact))).await? {
                return Ok(file);
            }
        }
        self.require_place().await?;
        let mut upload = WriteMultipart::new(self.store.put_multipart(&target).await?);
        let mut source = tokio::fs::File::open(path).await.map_err(of_file(path))?;
        let mut block = vec![0; BLOCK];
        loop {
            let read = source.read(&mut block).await.map_err(of_file(path))?;
            if read == 0 {
                break;
            }
            upload.wait_for_capacity(2).await?;
            upload.write(&block[..read]);
        }
        upload.finish().await?;
        Ok(file)
    }

    /// Stores every file of a folder, by path.
    pub async fn put_folder(&self, folder: &Path) -> Result<Vec<FolderFile>, Error> {
        let listed = folder.to_owned();
        let paths = blocking(move || below(&listed)).await?;
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let stored = self.put_file(&folder.join(&path)).await?;
            files.push(FolderFile { path: with_slashes(&path), ..stored });
        }
        Ok(files)
    }
}

fn with_slashes(path: &Path) -> String {
    let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
    names.join("/")
}

/// Makes the time of a stored file that of now, and says whether it is there and whole. What was made new is what lies there:
/// a file that is being deleted meanwhile is found to be gone here, or to be new there.
fn is_renewed(path: &PathBuf, artifact: &str) -> bool {
    let renewed = || {
        let file = File::open(path)?;
        file.set_modified(SystemTime::now())?;
        Ok::<_, std::io::Error>((file.metadata()?.ino(), std::fs::metadata(path)?.ino()))
    };
    renewed().is_ok_and(|(opened, lies_there)| opened == lies_there) && is_whole(path, artifact)
}
