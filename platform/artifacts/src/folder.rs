//! Folders of files as artifacts: models, and everything else that is too large to be held in memory.

use std::path::{Component, Path, PathBuf};

use futures::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStoreExt, WriteMultipart};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Artifacts, Error, name_of_hash, object_path};

/// Bytes of a file held in memory at a time.
const BLOCK: usize = 4 << 20;

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
        let (artifact, bytes) = hash(path).await?;
        Ok(Self { path: file_name(path), artifact, bytes })
    }
}

impl Artifacts {
    /// Stores a file, a block at a time. A stored one that was damaged since is replaced.
    pub async fn put_file(&self, path: &Path) -> Result<FolderFile, Error> {
        let file = FolderFile::of(path).await?;
        let target = object_path(&file.artifact)?;
        if self.is_stored(&file, &target).await {
            return Ok(file);
        }
        let mut upload = WriteMultipart::new(self.store.put_multipart(&target).await?);
        let mut source = open(path).await?;
        let mut block = vec![0; BLOCK];
        loop {
            let read = source.read(&mut block).await.map_err(|error| of_file(path, error))?;
            if read == 0 {
                break;
            }
            upload.wait_for_capacity(2).await?;
            upload.write(&block[..read]);
        }
        upload.finish().await?;
        Ok(file)
    }

    /// Whether the file is there. Of a folder's files the content is looked at; elsewhere the store answers for that.
    async fn is_stored(&self, file: &FolderFile, target: &ObjectPath) -> bool {
        match &self.folder {
            Some(folder) => is_whole(&folder.join(target.as_ref()), file).await,
            None => self.store.head(target).await.is_ok_and(|known| known.size == file.bytes),
        }
    }

    /// Stores every file of a folder, by path.
    pub async fn put_folder(&self, folder: &Path) -> Result<Vec<FolderFile>, Error> {
        let mut files = Vec::new();
        for path in files_of(folder)? {
            let stored = self.put_file(&folder.join(&path)).await?;
            let names: Vec<_> = path.iter().map(|name| name.to_string_lossy().into_owned()).collect();
            files.push(FolderFile { path: names.join("/"), ..stored });
        }
        Ok(files)
    }

    /// Makes a folder of these files, to be read only: where the store is a folder of the same file system its files are
    /// hard links and cost no space. It is there as a whole or not at all; one that is there already is checked against
    /// the hashes and made again if it differs.
    pub async fn fetch_folder(&self, files: &[FolderFile], folder: &Path) -> Result<(), Error> {
        if holds(folder, files).await {
            return Ok(());
        }
        let draft = folder.with_extension("partial");
        remove(&draft)?;
        if let Err(error) = self.fetch_files(files, &draft).await {
            remove(&draft)?;
            return Err(error);
        }
        remove(folder)?;
        std::fs::rename(&draft, folder).map_err(|error| of_file(folder, error))
    }

    async fn fetch_files(&self, files: &[FolderFile], folder: &Path) -> Result<(), Error> {
        for file in files {
            let relative = Path::new(&file.path);
            if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
                return Err(Error::Name(file.path.clone()));
            }
            self.fetch_file(file, &folder.join(relative)).await?;
        }
        Ok(())
    }

    async fn fetch_file(&self, file: &FolderFile, target: &Path) -> Result<(), Error> {
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(|error| of_file(parent, error))?;
        }
        if self.link(file, target).await {
            return Ok(());
        }
        let mut content = self.store.get(&object_path(&file.artifact)?).await?.into_stream();
        let mut output = tokio::fs::File::create(target).await.map_err(|error| of_file(target, error))?;
        let mut hasher = Sha256::new();
        while let Some(block) = content.try_next().await? {
            hasher.update(&block);
            output.write_all(&block).await.map_err(|error| of_file(target, error))?;
        }
        output.sync_all().await.map_err(|error| of_file(target, error))?;
        if name_of_hash(hasher) == file.artifact { Ok(()) } else { Err(Error::Damaged(file.artifact.clone())) }
    }
}

impl Artifacts {
    /// Whether the file could be linked; its content is checked.
    async fn link(&self, file: &FolderFile, target: &Path) -> bool {
        let (Some(folder), Ok(path)) = (&self.folder, object_path(&file.artifact)) else { return false };
        let stored = folder.join(path.as_ref());
        is_whole(&stored, file).await && std::fs::hard_link(&stored, target).is_ok()
    }
}

async fn holds(folder: &Path, files: &[FolderFile]) -> bool {
    for file in files {
        if !is_whole(&folder.join(&file.path), file).await {
            return false;
        }
    }
    folder.is_dir()
}

/// Whether what lies there is the file's content.
async fn is_whole(path: &Path, file: &FolderFile) -> bool {
    hash(path).await.is_ok_and(|(artifact, _)| artifact == file.artifact)
}

/// The name of a file's content, and its length.
async fn hash(path: &Path) -> Result<(String, u64), Error> {
    let mut source = open(path).await?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut bytes = 0;
    loop {
        let read = source.read(&mut block).await.map_err(|error| of_file(path, error))?;
        if read == 0 {
            return Ok((name_of_hash(hasher), bytes));
        }
        bytes += read as u64;
        hasher.update(&block[..read]);
    }
}

/// The files below a folder, as paths from it, sorted.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(relative) = open.pop() {
        let path = folder.join(&relative);
        for entry in std::fs::read_dir(&path).map_err(|error| of_file(&path, error))? {
            let entry = entry.map_err(|error| of_file(&path, error))?;
            let kind = entry.file_type().map_err(|error| of_file(&entry.path(), error))?;
            let target = if kind.is_dir() { &mut open } else { &mut found };
            target.push(relative.join(entry.file_name()));
        }
    }
    found.sort();
    Ok(found)
}

async fn open(path: &Path) -> Result<tokio::fs::File, Error> {
    tokio::fs::File::open(path).await.map_err(|error| of_file(path, error))
}

fn remove(folder: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(of_file(folder, error)),
        _ => Ok(()),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn of_file(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn stored(at: &Path) -> (Artifacts, Vec<FolderFile>) {
        let folder = at.join("made");
        std::fs::create_dir_all(folder.join("inner")).unwrap();
        std::fs::write(folder.join("weights"), vec![7; BLOCK + 9]).unwrap();
        std::fs::write(folder.join("inner/config.json"), "{}").unwrap();
        let artifacts = Artifacts::in_folder(&at.join("artifacts")).unwrap();
        let files = artifacts.put_folder(&folder).await.unwrap();
        (artifacts, files)
    }

    #[tokio::test]
    async fn a_folder_comes_back_as_it_was_and_is_stored_once() {
        let home = tempfile::tempdir().unwrap();
        let (artifacts, files) = stored(home.path()).await;
        let names: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.bytes)).collect();
        assert_eq!(names, [("inner/config.json", 2), ("weights", BLOCK as u64 + 9)]);
        assert_eq!(artifacts.put_folder(&home.path().join("made")).await.unwrap(), files);
        let back = home.path().join("back");
        artifacts.fetch_folder(&files, &back).await.unwrap();
        assert_eq!(std::fs::read(back.join("weights")).unwrap(), vec![7; BLOCK + 9]);
        assert_eq!(std::fs::read(back.join("inner/config.json")).unwrap(), b"{}");
    }

    #[tokio::test]
    async fn a_folder_that_lacks_a_file_is_made_again_and_a_damaged_artifact_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let (artifacts, files) = stored(home.path()).await;
        let back = home.path().join("back");
        artifacts.fetch_folder(&files, &back).await.unwrap();
        std::fs::remove_file(back.join("inner/config.json")).unwrap();
        artifacts.fetch_folder(&files, &back).await.unwrap();
        assert_eq!(std::fs::read(back.join("inner/config.json")).unwrap(), b"{}");

        let digest = files[0].artifact.strip_prefix("sha256:").unwrap();
        std::fs::write(home.path().join("artifacts").join(&digest[..2]).join(digest), "[]").unwrap();
        let other = home.path().join("other");
        let refused = artifacts.fetch_folder(&files, &other).await;
        assert!(matches!(refused, Err(Error::Damaged(_))), "{refused:?}");
        assert!(!other.exists() && !other.with_extension("partial").exists(), "nothing half-made is there");

        assert_eq!(artifacts.put_folder(&home.path().join("made")).await.unwrap(), files, "stored again");
        artifacts.fetch_folder(&files, &other).await.unwrap();
        assert_eq!(std::fs::read(other.join("inner/config.json")).unwrap(), b"{}");
    }

    #[tokio::test]
    async fn a_path_can_not_lead_out_of_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let (artifacts, mut files) = stored(home.path()).await;
        files[0].path = "../outside".to_owned();
        let refused = artifacts.fetch_folder(&files, &home.path().join("back")).await;
        assert!(matches!(refused, Err(Error::Name(_))), "{refused:?}");
    }
}
