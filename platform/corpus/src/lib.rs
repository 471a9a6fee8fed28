//! The corpus port: the cleaned documents of all authors that datasets are made of, each at its newest revision.
//!
//! Promises: events may come twice and in any order. A revision that is not higher than the one known changes nothing,
//! and a deletion keeps its number, so that a late older revision can not bring a document back. Every write is one row,
//! fenced by the revision, and durable when its future ends.
//!
//! What is new since an author's last dataset version is not told by a clock or by a counter over all documents: each
//! document knows the revision of it that a version holds ([`Corpus::mark_frozen`]).
//!
//! Beside the documents lie what models have said of them ([`Replies`]).
//!
//! Deliberately not here: what a sample is, and which versions there are (`platform/registry`).

mod replies;
pub mod testing;

pub use replies::{Replies, Reply, ReplyKey};

use async_trait::async_trait;
use twin_backend::Error;
use twin_schemas::{AuthorId, Category, CleanedDocument, ContentHash, DocumentId, Revision};

/// A document as a dataset is made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct CorpusDocument {
    /// The document.
    pub document_id: DocumentId,
    /// Its revision.
    pub revision: Revision,
    /// Whose it is.
    pub author: AuthorId,
    /// What it is.
    pub category: Category,
    /// ISO 639-3 code of its language, where it could be told.
    pub language: Option<String>,
    /// Programming language of code.
    pub code_language: Option<String>,
    /// Its title, where it has one.
    pub title: Option<String>,
    /// The source's own name for it.
    pub natural_key: String,
    /// Where a person can read it.
    pub url: Option<String>,
    /// Hash of what the source gave.
    pub content_hash: ContentHash,
    /// The cleaned text.
    pub text: String,
}

impl From<CleanedDocument> for CorpusDocument {
    fn from(document: CleanedDocument) -> Self {
        let CleanedDocument { meta, text, language, code_language, .. } = document;
        Self {
            document_id: meta.document_id,
            revision: meta.revision,
            author: meta.author,
            category: meta.category,
            language,
            code_language,
            title: meta.title,
            natural_key: meta.natural_key,
            url: meta.url,
            content_hash: meta.content_hash,
            text,
        }
    }
}

/// What an author has, and what of it is new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuthorState {
    /// Documents that are not deleted.
    pub documents: u64,
    /// Their usable passages, before duplicates are left out.
    pub samples: u64,
    /// Usable passages of documents of which no version holds this revision.
    pub new_samples: u64,
    /// The sum of the revisions of all documents: it grows with every change of one, deletions too.
    pub changed: u64,
}

/// Where cleaned documents are kept for datasets, and what models have said of them.
#[async_trait]
pub trait Corpus: Replies {
    /// The newest revision known of a document, deletions included.
    async fn revision(&self, document: DocumentId) -> Result<Option<Revision>, Error>;

    /// Stores a revision if it is higher than the one known, with the number of usable passages in it. Returns whether it
    /// was.
    async fn put(&self, document: CorpusDocument, samples: u64) -> Result<bool, Error>;

    /// Deletes a document as of a revision, if that is higher than the one known. Returns whether it was. A document that
    /// is not known is noted (as nobody's), so that an older revision that comes later changes nothing. What models have
    /// said of a document that is deleted goes too, at the latest when its deletion is told again.
    async fn delete(&self, document: DocumentId, revision: Revision) -> Result<bool, Error>;

    /// The authors that have, or had, documents, by name: at most `limit` behind `after`.
    async fn authors(&self, after: Option<&AuthorId>, limit: usize) -> Result<Vec<AuthorId>, Error>;

    /// What an author has.
    async fn author_state(&self, author: &AuthorId) -> Result<AuthorState, Error>;

    /// An author's documents that are not deleted, by id: at most `limit` behind `after`.
    async fn documents(
        &self,
        author: &AuthorId,
        after: Option<DocumentId>,
        limit: usize,
    ) -> Result<Vec<CorpusDocument>, Error>;

    /// A version holds these revisions, or what it left out of them: they are new no more. Noted again, or late, it
    /// changes nothing.
    async fn mark_frozen(&self, revisions: &[(DocumentId, Revision)]) -> Result<(), Error>;
}
