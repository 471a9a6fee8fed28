//! Folders made of artifacts.

use std::path::{Component, Path};

use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use crate::draft::Draft;
use crate::error::of_file;
use crate::files::{blocking, is_whole};
use crate::{Artifacts, Error, FolderFile, name_of_hash, object_path};

impl Artifacts {
    /// Makes a folder of these files, to be read only: where the store is a folder of the same file system its files are
    /// hard links and cost no space. It is there as a whole or not at all; one that is there already is checked against
    /// the hashes and made again if it differs. Any number of tasks and processes may ask for the same folder at once.
    pub async fn fetch_folder(&self, files: &[FolderFile], folder: &Path) -> Result<(), Error> {
        let (wanted, target) = (files.to_vec(), folder.to_owned());
        if blocking(move || Ok(holds(&target, &wanted))).await? {
            return Ok(());
        }
        let target = folder.to_owned();
        let draft = blocking(move || Draft::of(&target)).await?;
        let fetched = self.fetch_files(files, draft.path()).await;
        let (wanted, target) = (files.to_vec(), folder.to_owned());
        blocking(move || match fetched {
            Ok(()) => draft.publish(&target, |there| holds(there, &wanted)),
            Err(error) => draft.remove().and(Err(error)),
        })
        .await
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
            tokio::fs::create_dir_all(parent).await.map_err(of_file(parent))?;
        }
        if self.is_linked(file, target).await? {
            return Ok(());
        }
        let mut content = match self.store.get(&object_path(&file.artifact)?).await {
            Ok(stored) => stored.into_stream(),
            Err(error) => return Err(self.failed(&file.artifact, error).await),
        };
        let mut output = tokio::fs::File::create(target).await.map_err(of_file(target))?;
        let mut hasher = Sha256::new();
        while let Some(block) = content.try_next().await? {
            hasher.update(&block);
            output.write_all(&block).await.map_err(of_file(target))?;
        }
        output.sync_all().await.map_err(of_file(target))?;
        if name_of_hash(hasher) == file.artifact { Ok(()) } else { Err(Error::Damaged(file.artifact.clone())) }
    }

    /// Whether the file could be linked; its content is checked.
    async fn is_linked(&self, file: &FolderFile, target: &Path) -> Result<bool, Error> {
        let Some(folder) = &self.folder else { return Ok(false) };
        let stored = folder.join(object_path(&file.artifact)?.as_ref());
        let (artifact, target) = (file.artifact.clone(), target.to_owned());
        blocking(move || Ok(is_whole(&stored, &artifact) && std::fs::hard_link(&stored, &target).is_ok())).await
    }
}

fn holds(folder: &Path, files: &[FolderFile]) -> bool {
    files.iter().all(|file| is_whole(&folder.join(&file.path), &file.artifact)) && folder.is_dir()
}
