//! A model is asked once for the same: what it has said is kept, and read where it would be asked again.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::warn;
use twin_corpus::{Corpus, Reply, ReplyKey};
use twin_schemas::{AuthorId, DocumentId};

use crate::{Error, Options, PortError};

/// Replies of an author that are kept, for each that a version may use: what is in one version and not in the next may be
/// in the one after it.
const KEPT: usize = 4;

/// What a model has said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// What it was asked for.
    Text(String),
    /// The beginning of an answer that did not end.
    Cut,
    /// Something else, or nothing: why it is of no use.
    Unusable(String),
}

/// What models have said of an author's documents, for a version in the making.
pub(crate) struct Replies<'a> {
    corpus: &'a dyn Corpus,
    author: &'a AuthorId,
    /// The version's number.
    version: u32,
    /// Keys of what was read.
    used: Vec<ReplyKey>,
}

impl<'a> Replies<'a> {
    pub(crate) fn new(corpus: &'a dyn Corpus, author: &'a AuthorId, version: u32) -> Self {
        Self { corpus, author, version, used: Vec::new() }
    }

    /// What a model says of a document. `ask` is awaited only if it has not said it before. A model that failed has said
    /// nothing: that is kept nowhere, and it is asked again for the next version.
    ///
    /// # Errors
    /// The store's; [`Error::Away`] where the model can not be reached: a version that is made later has what it says.
    pub(crate) async fn said(
        &mut self,
        document_id: DocumentId,
        key: ReplyKey,
        ask: impl Future<Output = Result<String, PortError>> + Send,
    ) -> Result<Said, Error> {
        if let Some(said) = self.corpus.reply(self.author, &key).await?.as_deref().and_then(read) {
            self.used.push(key);
            return Ok(said);
        }
        let said = match ask.await {
            Ok(text) => Said::Text(text),
            Err(PortError::Cut(_)) => Said::Cut,
            Err(PortError::Form(problem)) => Said::Unusable(problem),
            Err(PortError::Model(error @ twin_llm::Error::Endpoint { .. })) => return Err(Error::Away(error)),
            Err(error @ (PortError::Model(_) | PortError::Unopened(_))) => {
                return Ok(Said::Unusable(error.to_string()));
            }
        };
        let text = serde_json::to_string(&said)?;
        let reply = Reply { author: self.author.clone(), key, document_id, version: self.version, text };
        // Another build may have asked as well. The first reply is everybody's.
        Ok(read(&self.corpus.keep_reply(reply).await?).unwrap_or(said))
    }

    /// Notes what was used, and forgets what is of no use any more.
    pub(crate) async fn settle(self, options: &Options) -> Result<(), Error> {
        self.corpus.mark_used(self.author, &self.used, self.version).await?;
        let of_a_version = u64::from(options.preferences) + u64::from(options.model_instructions);
        let most = usize::try_from(of_a_version).unwrap_or(usize::MAX).saturating_mul(KEPT);
        self.corpus.forget_unused(self.author, most).await?;
        Ok(())
    }
}

/// A reply as it was kept. One that can not be read is asked for again.
fn read(kept: &str) -> Option<Said> {
    serde_json::from_str(kept).inspect_err(|error| warn!(%error, "a kept reply of a model can not be read")).ok()
}

/// The key of a reply that depends on these parts, and on where each of them ends.
pub(crate) fn reply_key(parts: &[&str]) -> ReplyKey {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    ReplyKey(hex::encode(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[ab]{0,2}", 0..4)
    }

    proptest! {
        #[test]
        fn other_parts_have_another_key(a in parts(), b in parts()) {
            let key = |parts: &[String]| reply_key(&parts.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(a == b, key(&a) == key(&b));
        }
    }

    #[test]
    fn where_a_part_ends_is_a_part_of_the_key() {
        assert_ne!(reply_key(&["ab", "c"]), reply_key(&["a", "bc"]));
        assert_ne!(reply_key(&["ab"]), reply_key(&["ab", ""]));
    }

    #[test]
    fn what_was_kept_is_read_and_what_is_something_else_is_not() {
        for said in [Said::Text("\"so\"".to_owned()), Said::Cut, Said::Unusable("no JSON".to_owned())] {
            assert_eq!(read(&serde_json::to_string(&said).unwrap()), Some(said));
        }
        assert_eq!(read("so"), None);
    }
}
