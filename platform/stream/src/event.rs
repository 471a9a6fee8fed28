//! Events to append: typed payloads made into records.

use twin_schemas::{Attributes, DocumentId, Payload, Revision};

use crate::log::NewRecord;

/// An event to append.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The topic's name.
    pub topic: String,
    /// The key.
    pub key: String,
    /// Its attributes.
    pub attributes: Attributes,
    /// The payload as JSON; none is a tombstone.
    pub value: Option<Vec<u8>>,
}

impl NewEvent {
    /// An event of type `P`.
    pub fn new<P: Payload>(key: impl Into<String>, attributes: Attributes, payload: &P) -> Self {
        // Payload types have string keys only and no failing `Serialize` implementation of their own.
        let value = serde_json::to_vec(payload).expect("a payload serialises to JSON");
        Self { topic: P::TOPIC.name().to_owned(), key: key.into(), attributes, value: Some(value) }
    }

    /// An event about a document's revision, keyed by the document.
    pub fn document<P: Payload>(stage: &str, document: DocumentId, revision: Revision, payload: &P) -> Self {
        Self::new(document.to_string(), Attributes::for_document::<P>(stage, document, revision), payload)
    }

    /// The deletion of a document, on the topic of `P`.
    pub fn tombstone<P: Payload>(stage: &str, document: DocumentId, revision: Revision) -> Self {
        Self {
            topic: P::TOPIC.name().to_owned(),
            key: document.to_string(),
            attributes: Attributes::for_document::<P>(stage, document, revision),
            value: None,
        }
    }

    /// The same trace as the event that it follows from.
    pub fn caused_by(mut self, cause: &Attributes) -> Self {
        self.attributes = self.attributes.with_trace_of(cause);
        self
    }

    /// The record to append.
    pub fn into_record(self) -> NewRecord {
        NewRecord {
            topic: self.topic,
            key: self.key.into_bytes(),
            headers: self.attributes.to_headers(),
            value: self.value,
        }
    }
}
