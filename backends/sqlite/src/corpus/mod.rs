//! The corpus in the embedded database.

mod documents;
mod replies;
mod tables;

use async_trait::async_trait;
use rusqlite::Connection;
use twin_backend::Error;
use twin_corpus::{AuthorState, Corpus, CorpusDocument, Replies, Reply, ReplyKey};
use twin_schemas::{AuthorId, DocumentId, Revision};

use crate::Database;

/// What a statement of the corpus can end with.
type Failure = crate::Failure<Error>;

/// The corpus in an SQLite file; clones share it.
#[derive(Clone)]
pub struct SqliteCorpus {
    database: Database,
}

impl SqliteCorpus {
    /// Opens it, making or migrating its tables.
    pub async fn open(database: Database) -> Result<Self, Error> {
        let migrate = |tx: &Connection| crate::migrate(tx, "datasets", tables::MIGRATIONS);
        database.write(migrate).await?;
        Ok(Self { database })
    }
}

#[async_trait]
impl Corpus for SqliteCorpus {
    async fn revision(&self, document: DocumentId) -> Result<Option<Revision>, Error> {
        Ok(self.database.read(move |c| documents::revision(c, document)).await?)
    }

    async fn put(&self, document: CorpusDocument, samples: u64) -> Result<bool, Error> {
        Ok(self.database.write(move |tx| documents::put(tx, &document, samples)).await?)
    }

    async fn delete(&self, document: DocumentId, revision: Revision) -> Result<bool, Error> {
        let delete = move |tx: &Connection| {
            let deleted = documents::delete(tx, document, revision)?;
            replies::forget_deleted(tx, document)?;
            Ok::<_, Failure>(deleted)
        };
        Ok(self.database.write(delete).await?)
    }

    async fn authors(&self, after: Option<&AuthorId>, limit: usize) -> Result<Vec<AuthorId>, Error> {
        let after = after.cloned();
        Ok(self.database.read(move |c| documents::authors(c, after.as_ref(), limit)).await?)
    }

    async fn author_state(&self, author: &AuthorId) -> Result<AuthorState, Error> {
        let author = author.clone();
        Ok(self.database.read(move |c| documents::author_state(c, &author)).await?)
    }

    async fn documents(
        &self,
        author: &AuthorId,
        after: Option<DocumentId>,
        limit: usize,
    ) -> Result<Vec<CorpusDocument>, Error> {
        let author = author.clone();
        Ok(self.database.read(move |c| documents::list(c, &author, after, limit)).await?)
    }

    async fn mark_frozen(&self, revisions: &[(DocumentId, Revision)]) -> Result<(), Error> {
        let revisions = revisions.to_vec();
        Ok(self.database.write(move |tx| documents::mark_frozen(tx, &revisions)).await?)
    }
}

#[async_trait]
impl Replies for SqliteCorpus {
    async fn reply(&self, author: &AuthorId, key: &ReplyKey) -> Result<Option<String>, Error> {
        let (author, key) = (author.clone(), key.clone());
        Ok(self.database.read(move |c| replies::get(c, &author, &key)).await?)
    }

    async fn keep_reply(&self, reply: Reply) -> Result<String, Error> {
        Ok(self.database.write(move |tx| replies::keep(tx, &reply)).await?)
    }

    async fn mark_used(&self, author: &AuthorId, keys: &[ReplyKey], version: u32) -> Result<(), Error> {
        let (author, keys) = (author.clone(), keys.to_vec());
        Ok(self.database.write(move |tx| replies::mark_used(tx, &author, &keys, version)).await?)
    }

    async fn forget_unused(&self, author: &AuthorId, most: usize) -> Result<u64, Error> {
        let author = author.clone();
        Ok(self.database.write(move |tx| replies::forget_unused(tx, &author, most)).await?)
    }
}
