//! What language models have said of an author's documents while datasets were made, so that they are not asked twice:
//! the same documents then give the same version, though a model that is asked again may say something else.
//!
//! A reply is derived: a lost one costs a question and nothing more. It is kept as long as it is of use, in bounds, and no
//! longer than its document.

use async_trait::async_trait;
use twin_backend::Error;
use twin_schemas::{AuthorId, DocumentId};

/// What a reply is kept under: a SHA-256, in hex, of all that it depends on (what was asked, which model, and how).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplyKey(pub String);

/// A reply to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Whose dataset it is for.
    pub author: AuthorId,
    /// What it is kept under.
    pub key: ReplyKey,
    /// The document that the model was asked about.
    pub document_id: DocumentId,
    /// The number of the author's version that it was asked for.
    pub version: u32,
    /// What the model has said, as whoever asked writes it down.
    pub text: String,
}

/// Where replies are kept. All writes are durable when their future ends.
#[async_trait]
pub trait Replies: Send + Sync {
    /// The reply that an author has under a key.
    async fn reply(&self, author: &AuthorId, key: &ReplyKey) -> Result<Option<String>, Error>;

    /// Keeps a reply and returns the one that is kept: of several under one key, it is the first. One row.
    async fn keep_reply(&self, reply: Reply) -> Result<String, Error>;

    /// Notes that these replies were used for the author's version of that number: each keeps the highest that was noted.
    /// A key without a reply is passed over.
    async fn mark_used(&self, author: &AuthorId, keys: &[ReplyKey], version: u32) -> Result<(), Error>;

    /// Removes an author's replies but for so many, those that were used for the newest versions. Returns how many went.
    async fn forget_unused(&self, author: &AuthorId, most: usize) -> Result<u64, Error>;
}
