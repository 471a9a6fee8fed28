//! What travels between the parts of LLM Twin: events with their topics and envelope, and the files of dataset
//! versions.
//!
//! Stages are coupled by these types alone. Each payload of an event has a JSON Schema and a place in one AsyncAPI
//! document, both generated from the types here (`cargo run -p twin-schemas --bin schemas`) and kept in
//! `schemas/json/` and `schemas/asyncapi.json`; tests fail when a file and its type have drifted apart or
//! when a change would break readers of events already in a log.
//!
//! Not here: how events travel (`platform/stream`) and what stages do with them.

mod dataset;
mod document;
mod embedding;
mod envelope;
mod generate;
mod ids;
mod learning;
mod query;
mod response_format;
mod service;
mod topics;
mod writing;

pub use dataset::{
    DatasetFile, DatasetManifest, EvaluationSample, FOLD_SAMPLES, FOLDED_BELOW, FoldSample, PromptCompletion, Refusal,
    Refusals, SampleKind, SourceDocument, Split,
};
pub use document::{Chunk, ChunkedDocument, CleanedDocument, DocumentMeta, MediaType, RawDocument, Span};
pub use embedding::{EmbedQuery, Embedded, EmbeddingInput};
pub use envelope::{Attributes, DecodeError, Payload, SPEC_VERSION, attribute};
pub use generate::{compatibility_breaks, documents as generated_documents};
pub use ids::{
    AuthorId, Category, ContentHash, DatasetId, DocumentId, DocumentKey, GatewayId, InvalidId, JobId, ModelId,
    RequestId, Revision, SourceId, SourceKind,
};
pub use learning::{ChatSample, DatasetReady, ModelEvent, PreferenceSample, Verdict};
pub use query::{
    AnswerCheck, AnswerEvent, AnswerMode, AnswerPart, Answered, ChatMessage, Citation, FailureKind, FinishReason,
    Passage, Query, QueryEvent, QueryFilter, QueryKind, Replaced, Role, Sampling, SentenceSupport, StageTimings,
    SupportReason, Usage,
};
pub use response_format::{AnswerSchema, ResponseFormat};
pub use service::{NoService, Service};
pub use topics::{Cleanup, Topic, dead_letter_topic};
pub use writing::{Copied, Voice, Writing, WrittenText};
