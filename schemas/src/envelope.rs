//! CloudEvents 1.0 in Kafka binary mode: attributes in headers, the bare payload in the value.
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>, section
//! 3.2. An event without data is a record with a null value: a tombstone.

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::ids::{DocumentId, Revision};
use crate::topics::Topic;

/// The CloudEvents version that these events follow.
pub const SPEC_VERSION: &str = "1.0";

/// Header names.
pub mod attribute {
    /// `specversion`.
    pub const SPEC_VERSION: &str = "ce_specversion";
    /// `id`.
    pub const ID: &str = "ce_id";
    /// `type`.
    pub const TYPE: &str = "ce_type";
    /// `source`.
    pub const SOURCE: &str = "ce_source";
    /// `subject`.
    pub const SUBJECT: &str = "ce_subject";
    /// `time`.
    pub const TIME: &str = "ce_time";
    /// `dataschema`.
    pub const DATA_SCHEMA: &str = "ce_dataschema";
    /// Extension: the document's revision; on a tombstone there is no payload to read it from.
    pub const REVISION: &str = "ce_revision";
    /// Extension `dataref`: where the payload is kept when it is too large for the log.
    pub const DATA_REF: &str = "ce_dataref";
    /// Media type of the payload.
    pub const CONTENT_TYPE: &str = "content-type";
    /// W3C trace context.
    pub const TRACE_PARENT: &str = "traceparent";
}

/// A type that travels as the payload of an event. One type a topic.
pub trait Payload: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static {
    /// CloudEvents `type`; ends in the schema's major version.
    const TYPE: &'static str;
    /// The topic it travels on.
    const TOPIC: Topic;

    /// CloudEvents `dataschema`, relative to the `schemas/` folder.
    fn schema() -> String {
        format!("json/{}.json", Self::TYPE)
    }
}

/// The attributes of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Attributes {
    /// Unique per event; a redelivered event keeps it.
    pub id: String,
    /// The payload's type.
    pub event_type: String,
    /// The stage that wrote it, as a relative URI: `/twin/cleaner`.
    pub source: String,
    /// What it is about: a document id, a request id.
    pub subject: String,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// The payload's schema.
    pub data_schema: String,
    /// The document's revision, for document events.
    pub revision: Option<Revision>,
    /// W3C `traceparent`.
    pub trace_parent: Option<String>,
}

/// Why a record is not an event of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A required attribute is not there.
    #[error("missing header {0}")]
    Missing(&'static str),
    /// An attribute can not be read.
    #[error("header {name}: {problem}")]
    Attribute {
        /// The header.
        name: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Another type of event, or an unknown major version of it.
    #[error("event type is {found:?}, this stage reads {expected:?}")]
    Type {
        /// The type in the header.
        found: String,
        /// The type that the stage reads.
        expected: &'static str,
    },
    /// The payload does not follow the type's schema.
    #[error("payload: {0}")]
    Payload(String),
}

impl Attributes {
    /// Attributes of a new event of type `P`, written by `stage`, about `subject`.
    pub fn new<P: Payload>(stage: &str, subject: impl Into<String>) -> Self {
        Self {
            id: Uuid::now_v7().to_string(),
            event_type: P::TYPE.to_owned(),
            source: format!("/twin/{stage}"),
            subject: subject.into(),
            time: Utc::now(),
            data_schema: P::schema(),
            revision: None,
            trace_parent: None,
        }
    }

    /// Attributes of an event about a document's revision. The id is derived from both, so an event that is
    /// written twice (after a crash) is the same event.
    pub fn for_document<P: Payload>(stage: &str, document: DocumentId, revision: Revision) -> Self {
        Self {
            id: format!("{}/{document}/{revision}", P::TYPE),
            revision: Some(revision),
            ..Self::new::<P>(stage, document.to_string())
        }
    }

    /// The same trace, for an event that follows from this one.
    pub fn with_trace_of(mut self, cause: &Self) -> Self {
        self.trace_parent.clone_from(&cause.trace_parent);
        self
    }

    /// The headers, in the order of the constants above.
    pub fn to_headers(&self) -> Vec<(String, Vec<u8>)> {
        let mut headers = vec![
            header(attribute::SPEC_VERSION, SPEC_VERSION),
            header(attribute::ID, &self.id),
            header(attribute::TYPE, &self.event_type),
            header(attribute::SOURCE, &self.source),
            header(attribute::SUBJECT, &self.subject),
            header(attribute::TIME, &self.time.to_rfc3339_opts(SecondsFormat::Millis, true)),
            header(attribute::DATA_SCHEMA, &self.data_schema),
            header(attribute::CONTENT_TYPE, "application/json"),
        ];
        if let Some(revision) = self.revision {
            headers.push(header(attribute::REVISION, &revision.to_string()));
        }
        if let Some(trace_parent) = &self.trace_parent {
            headers.push(header(attribute::TRACE_PARENT, trace_parent));
        }
        headers
    }

    /// Reads the attributes from a record's headers.
    pub fn from_headers(headers: &[(String, Vec<u8>)]) -> Result<Self, DecodeError> {
        let spec_version = required(headers, attribute::SPEC_VERSION)?;
        if spec_version != SPEC_VERSION {
            return Err(DecodeError::Attribute {
                name: attribute::SPEC_VERSION,
                problem: format!("is {spec_version:?}, must be {SPEC_VERSION:?}"),
            });
        }
        let time = required(headers, attribute::TIME)?;
        let time = DateTime::parse_from_rfc3339(&time).map_err(|error| DecodeError::Attribute {
            name: attribute::TIME,
            problem: format!("{time:?} is not an RFC 3339 time: {error}"),
        })?;
        let revision = optional(headers, attribute::REVISION)?
            .map(|text| {
                text.parse().map(Revision).map_err(|_| DecodeError::Attribute {
                    name: attribute::REVISION,
                    problem: format!("{text:?} is not a number"),
                })
            })
            .transpose()?;
        Ok(Self {
            id: required(headers, attribute::ID)?,
            event_type: required(headers, attribute::TYPE)?,
            source: required(headers, attribute::SOURCE)?,
            subject: optional(headers, attribute::SUBJECT)?.unwrap_or_default(),
            time: time.with_timezone(&Utc),
            data_schema: optional(headers, attribute::DATA_SCHEMA)?.unwrap_or_default(),
            revision,
            trace_parent: optional(headers, attribute::TRACE_PARENT)?,
        })
    }

    /// Reads a payload of type `P`. Fields that `P` does not know are passed over, so that a newer minor
    /// version of the writer does no harm.
    pub fn decode<P: Payload>(&self, value: &[u8]) -> Result<P, DecodeError> {
        if self.event_type != P::TYPE {
            return Err(DecodeError::Type { found: self.event_type.clone(), expected: P::TYPE });
        }
        serde_json::from_slice(value).map_err(|error| DecodeError::Payload(error.to_string()))
    }

    /// The document that this event is about.
    pub fn document(&self) -> Result<(DocumentId, Revision), DecodeError> {
        let document = self.subject.parse().map_err(|error: crate::ids::InvalidId| DecodeError::Attribute {
            name: attribute::SUBJECT,
            problem: error.to_string(),
        })?;
        Ok((document, self.revision.ok_or(DecodeError::Missing(attribute::REVISION))?))
    }
}

fn header(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.to_owned(), value.as_bytes().to_vec())
}

fn optional(headers: &[(String, Vec<u8>)], name: &'static str) -> Result<Option<String>, DecodeError> {
    let Some((_, value)) = headers.iter().find(|(key, _)| key == name) else { return Ok(None) };
    match std::str::from_utf8(value) {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(DecodeError::Attribute { name, problem: "is not UTF-8".to_owned() }),
    }
}

fn required(headers: &[(String, Vec<u8>)], name: &'static str) -> Result<String, DecodeError> {
    optional(headers, name)?.ok_or(DecodeError::Missing(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RawDocument;

    fn attributes() -> Attributes {
        Attributes::for_document::<RawDocument>("crawler", DocumentId(Uuid::from_u128(7)), Revision(3))
    }

    #[test]
    fn attributes_survive_the_headers() {
        let mut written = attributes();
        written.trace_parent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
        let read = Attributes::from_headers(&written.to_headers()).unwrap();
        assert_eq!(read.id, written.id);
        assert_eq!(read.trace_parent, written.trace_parent);
        assert_eq!(read.document().unwrap(), (DocumentId(Uuid::from_u128(7)), Revision(3)));
        assert!((read.time - written.time).num_milliseconds().abs() <= 1);
    }

    #[test]
    fn a_record_that_is_no_event_says_which_header_is_wrong() {
        for name in [attribute::ID, attribute::TYPE, attribute::SOURCE, attribute::TIME] {
            let mut headers = attributes().to_headers();
            headers.retain(|(key, _)| key != name);
            assert_eq!(Attributes::from_headers(&headers), Err(DecodeError::Missing(name)));
        }
        let mut headers = attributes().to_headers();
        headers.retain(|(key, _)| key != attribute::TIME);
        headers.push((attribute::TIME.into(), b"yesterday".to_vec()));
        let error = Attributes::from_headers(&headers).unwrap_err();
        assert!(error.to_string().contains("ce_time"), "{error}");
    }

    #[test]
    fn another_type_is_refused_and_an_unknown_field_is_not() {
        let error = attributes().decode::<crate::ChunkedDocument>(b"{}").unwrap_err();
        assert!(matches!(error, DecodeError::Type { .. }));
        let value = br#"{"document_id":"00000000-0000-0000-0000-000000000007","revision":3,"author":"ada",
            "category":"post","source_kind":"push","natural_key":"k","observed_at":"2026-01-01T00:00:00Z",
            "content_hash":"sha256:0","media_type":"text","content":"hi","a_later_field":{"x":1}}"#;
        let raw: RawDocument = attributes().decode(value).unwrap();
        assert_eq!(raw.content, "hi");
        let error = attributes().decode::<RawDocument>(br#"{"revision":"three"}"#).unwrap_err();
        assert!(matches!(error, DecodeError::Payload(_)));
    }
}
