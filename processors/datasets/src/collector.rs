//! The datasets stage: keeps the newest cleaned text of each document.

use async_trait::async_trait;
use chrono::Utc;
use twin_registry::Registry;
use twin_schemas::CleanedDocument;
use twin_stream::{Handler, Message, Outcome};

use crate::{DocumentStore, Error};

/// Collects cleaned documents into the store. Versions that hold a deleted one are marked.
pub struct Collector {
    documents: DocumentStore,
    registry: Registry,
}

impl Collector {
    /// A stage that writes to `documents`.
    pub fn new(documents: DocumentStore, registry: Registry) -> Self {
        Self { documents, registry }
    }

    async fn collect(&self, message: Message<CleanedDocument>) -> Outcome {
        let (document, revision) = match message.document() {
            Ok(about) => about,
            Err(error) => return Outcome::dead("decode", error),
        };
        let is_deletion = message.payload.is_none();
        let written = match message.payload {
            Some(cleaned) => self.documents.put(cleaned).await.map(drop),
            None => self.documents.delete(document, revision).await.map(drop),
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
