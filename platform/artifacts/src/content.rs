//! The content of an artifact in blocks, for what is too large to be held in memory.

use futures::stream::{self, Stream};
use object_store::ObjectStoreExt;
use sha2::{Digest, Sha256};

use crate::{Artifacts, Error, name_of_hash, object_path};

/// Bytes that are read at a time: hashing them takes less than half a millisecond.
const BLOCK: u64 = 256 << 10;

/// The content of an artifact, to be read from its beginning to its end.
#[derive(Debug)]
pub struct Content {
    artifacts: Artifacts,
    name: String,
    bytes: u64,
    /// Where the next block begins.
    at: u64,
    hasher: Sha256,
}

impl Artifacts {
    /// The content of that name, a block at a time.
    pub async fn read(&self, name: &str) -> Result<Content, Error> {
        let found = match self.store.head(&object_path(name)?).await {
            Ok(found) => found,
            Err(error) => return Err(self.failed(name, error).await),
        };
        let bytes = found.size;
        Ok(Content { artifacts: self.clone(), name: name.to_owned(), bytes, at: 0, hasher: Sha256::new() })
    }
}

impl Content {
    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its blocks. The last one comes only if the content is what was written, so that whoever counts bytes never takes a
    /// damaged artifact for a whole one.
    pub fn blocks(self) -> impl Stream<Item = Result<Vec<u8>, Error>> + Send + 'static {
        stream::try_unfold(self, async |mut content| Ok(content.next().await?.map(|block| (block, content))))
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.at >= self.bytes {
            return Ok(None);
        }
        let end = self.bytes.min(self.at + BLOCK);
        let block = match self.artifacts.store.get_range(&object_path(&self.name)?, self.at..end).await {
            Ok(block) => block,
            Err(error) => return Err(self.artifacts.failed(&self.name, error).await),
        };
        self.hasher.update(&block);
        self.at = end;
        if end == self.bytes && name_of_hash(self.hasher.clone()) != self.name {
            return Err(Error::Damaged(self.name.clone()));
        }
        Ok(Some(block.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn blocks_are_the_content_and_a_damaged_artifact_is_never_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::in_folder(folder.path()).unwrap();
        let length = 2 * BLOCK as usize + 7;
        let content: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let name = artifacts.put(content.clone()).await.unwrap();
        let opened = artifacts.read(&name).await.unwrap();
        assert_eq!(opened.bytes(), length as u64);
        let blocks: Vec<Vec<u8>> = opened.blocks().try_collect().await.unwrap();
        assert_eq!((blocks.len(), blocks.concat() == content), (3, true));
        let empty = artifacts.put(Vec::new()).await.unwrap();
        let none: Vec<Vec<u8>> = artifacts.read(&empty).await.unwrap().blocks().try_collect().await.unwrap();
        assert!(none.is_empty());

        let digest = name.strip_prefix("sha256:").unwrap();
        let mut damaged = content;
        damaged[3] ^= 1;
        std::fs::write(folder.path().join(&digest[..2]).join(digest), damaged).unwrap();
        let mut blocks = std::pin::pin!(artifacts.read(&name).await.unwrap().blocks());
        let mut read = 0;
        let error = loop {
            match blocks.try_next().await {
                Ok(block) => read += block.expect("it does not end well").len(),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::Damaged(_)), "{error}");
        assert!(read < length, "{read}");
        let absent = artifacts.read(&format!("sha256:{}", "0".repeat(64))).await;
        assert!(absent.is_err_and(|error| !error.is_transient()));
    }
}
