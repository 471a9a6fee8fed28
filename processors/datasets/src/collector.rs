//! The datasets stage: keeps the newest cleaned text of each document.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use twin_corpus::{Corpus, CorpusDocument};
use twin_registry::Registry;
use twin_schemas::CleanedDocument;
use twin_stream::{Handler, Message, Outcome};

use crate::work::blocking;
use crate::{Error, Options, samples_of};

/// Collects cleaned documents into the corpus. Versions that hold a deleted one are marked.
pub struct Collector {
    corpus: Arc<dyn Corpus>,
    options: Options,
    registry: Registry,
}

impl Collector {
    /// A stage that writes to `corpus`. `options` say which samples of a document count as usable.
    pub fn new(options: Options, corpus: Arc<dyn Corpus>, registry: Registry) -> Result<Self, Error> {
        options.validate()?;
        Ok(Self { corpus, options, registry })
    }

    async fn collect(&self, message: Message<CleanedDocument>) -> Outcome {
        let (document, revision) = match message.document() {
            Ok(about) => about,
            Err(error) => return Outcome::dead("decode", error),
        };
        let is_deletion = message.payload.is_none();
        let written = match message.payload {
            Some(cleaned) => put_document(&*self.corpus, cleaned, &self.options).await.map(drop),
            None => self.corpus.delete(document, revision).await.map(drop).map_err(Error::from),
        };
        let marked = match written {
            // Marking is repeated with the event, so a crash in between leaves no version unmarked.
            Ok(()) if is_deletion => self.registry.mark_deleted(document, Utc::now()).await.map_err(Error::from),
            other => other,
        };
        match marked {
            Ok(()) => Outcome::Done,
            Err(error) if error.is_transient() => Outcome::wait("store", error),
            Err(error) => Outcome::dead("store", error),
        }
    }
}

/// Stores a document, with the number of its usable samples, if its revision is higher than the one known. Returns whether
/// it was.
pub async fn put_document(corpus: &dyn Corpus, document: CleanedDocument, options: &Options) -> Result<bool, Error> {
    let known = corpus.revision(document.meta.document_id).await?;
    if known.is_some_and(|known| known >= document.meta.revision) {
        return Ok(false);
    }
    let (document, options) = (CorpusDocument::from(document), options.clone());
    let counted = blocking(move || {
        let samples = samples_of(&document, &options).len() as u64;
        Ok((document, samples))
    });
    let (document, samples) = counted.await?;
    Ok(corpus.put(document, samples).await?)
}

#[async_trait]
impl Handler for Collector {
    type Input = CleanedDocument;

    async fn handle(&self, batch: Vec<Message<CleanedDocument>>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for message in batch {
            outcomes.push(self.collect(message).await);
        }
        outcomes
    }
}
