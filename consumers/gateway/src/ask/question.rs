//! What the twin can be asked: a question or a text, and vectors of texts.

use chrono::{DateTime, Utc};
use twin_schemas::{
    AuthorId, ChatMessage, EmbedQuery, EmbeddingInput, GatewayId, Query, QueryEvent, QueryFilter, QueryKind, RequestId,
    ResponseFormat, Sampling, Writing,
};

use super::in_flight::Permit;

/// What is asked. The author comes from a field of the request, never from text in it.
pub struct Question {
    pub permit: Permit,
    pub author: AuthorId,
    pub kind: QueryKind,
    pub messages: Vec<ChatMessage>,
    pub k: u32,
    pub filter: QueryFilter,
    pub sampling: Sampling,
    pub format: ResponseFormat,
    /// What is to be written, where a text is wanted.
    pub writing: Option<Writing>,
    /// W3C trace context of the client, where it sent one.
    pub trace_parent: Option<String>,
}

impl Question {
    pub(super) fn unsent(self) -> Unsent<impl FnOnce(Asked) -> QueryEvent> {
        let Self { permit, author, kind, messages, k, filter, sampling, format, writing, trace_parent } = self;
        let event = move |Asked { request_id, reply_to, deadline }| {
            QueryEvent::Ask(Box::new(Query {
                request_id,
                reply_to,
                author,
                kind,
                messages,
                k,
                filter,
                sampling,
                format,
                writing,
                deadline,
            }))
        };
        Unsent { kind: kind.into(), permit, trace_parent, event }
    }
}

/// Texts to be embedded.
pub struct EmbeddingQuestion {
    pub permit: Permit,
    pub texts: Vec<String>,
    pub input: EmbeddingInput,
    pub model: Option<String>,
    pub dimensions: Option<u32>,
    /// W3C trace context of the client, where it sent one.
    pub trace_parent: Option<String>,
}

impl EmbeddingQuestion {
    pub(super) fn unsent(self) -> Unsent<impl FnOnce(Asked) -> QueryEvent> {
        let Self { permit, texts, input, model, dimensions, trace_parent } = self;
        let event = move |Asked { request_id, reply_to, deadline }| {
            QueryEvent::Embed(Box::new(EmbedQuery { request_id, reply_to, texts, input, model, dimensions, deadline }))
        };
        Unsent { kind: Kind::Embed, permit, trace_parent, event }
    }
}

/// What is asked for, as metrics tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Retrieve,
    Answer,
    Write,
    Embed,
}

impl Kind {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Retrieve => "retrieve",
            Self::Answer => "answer",
            Self::Write => "write",
            Self::Embed => "embed",
        }
    }
}

impl From<QueryKind> for Kind {
    fn from(kind: QueryKind) -> Self {
        match kind {
            QueryKind::Retrieve => Self::Retrieve,
            QueryKind::Answer => Self::Answer,
            QueryKind::Write => Self::Write,
        }
    }
}

/// Which query, whom to answer, and until when.
pub(super) struct Asked {
    pub(super) request_id: RequestId,
    pub(super) reply_to: GatewayId,
    pub(super) deadline: DateTime<Utc>,
}

/// A question of any kind, before it has an id: `event` makes of it what goes into the log.
pub(super) struct Unsent<E> {
    pub(super) kind: Kind,
    pub(super) permit: Permit,
    pub(super) trace_parent: Option<String>,
    pub(super) event: E,
}
