//! What the routes work with.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{HeaderMap, StatusCode};
use twin_api::{Code, DeadLetterView, FieldError};
use twin_artifacts::Artifacts;
use twin_schemas::{AuthorId, SourceKind};
use twin_stream::{DeadLetterCursor, EventLog};
use twin_telemetry::{Health, MetricsRegistry};
use twin_warehouse::{Secrets, Warehouse};

use crate::Options;
use crate::ask::Asker;
use crate::authors::KnownAuthors;
use crate::learning::Learning;
use crate::metrics::Metrics;
use crate::port_error::PortError;
use crate::problem::Problem;

/// What the gateway needs of the process around it.
pub struct Dependencies {
    /// Where queries go and answers come from.
    pub log: Arc<dyn EventLog>,
    /// Sources and documents.
    pub warehouse: Arc<dyn Warehouse>,
    /// What kinds of sources there are.
    pub sources: Arc<dyn SourceResolver>,
    /// Dead letters.
    pub dead_letters: Arc<dyn DeadLetterAccess>,
    /// Readiness of all parts of this process.
    pub health: Health,
    /// Metrics of all parts of this process.
    pub registry: MetricsRegistry,
    /// The groups whose lag `/v1/status` shows.
    pub stages: Vec<StageGroup>,
    /// Seconds between syncs of a source that is registered without its own.
    pub default_interval_s: u64,
    /// The similarity that questions are refused below, where one is configured.
    pub min_score: Option<f32>,
    /// Where uploaded files go. None: no source takes any.
    pub uploads: Option<Uploads>,
    /// The learning loop. None: its routes answer 503.
    pub learning: Option<Learning>,
}

/// Where files go that are uploaded to sources.
#[derive(Clone)]
pub struct Uploads {
    /// Where they stay.
    pub artifacts: Artifacts,
    /// Where they lie while they come.
    pub folder: PathBuf,
}

/// A source that is to be registered.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    /// Its kind.
    pub kind: &'a SourceKind,
    /// Its location in the normal form.
    pub location: &'a str,
    /// What else is set of it: an object, or null for nothing.
    pub settings: &'a serde_json::Value,
    /// Its secrets.
    pub secrets: &'a Secrets,
}

/// A stage, as a reader of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageGroup {
    /// Its name: `cleaner`.
    pub stage: String,
    /// Its consumer group.
    pub group: String,
    /// The topic that it reads.
    pub topic: String,
}

/// Tells what kind of source a location is. The crawler knows; the gateway depends on no other stage.
#[async_trait]
pub trait SourceResolver: Send + Sync {
    /// The kind (the given one, checked, or the one that the location suggests) and the location in its normal form.
    /// [`PortError::Invalid`] is for the person who registers the source.
    fn resolve(&self, kind: Option<&str>, location: &str) -> Result<(SourceKind, String), PortError>;

    /// The kinds there are.
    fn kinds(&self) -> Vec<&'static str>;

    /// Checks settings and secrets, without asking anybody. The error names the field, and never has a secret.
    fn check(&self, registration: Registration<'_>) -> Result<(), FieldError> {
        let is_bare = registration.settings.is_null() && registration.secrets.is_empty();
        if is_bare { Ok(()) } else { Err(FieldError::new("settings", "this kind has no settings and no secrets")) }
    }

    /// Looks at what is at the location, and returns the one that can be read: the same, or one that was found there.
    /// [`PortError::Invalid`] says why there is none, and [`PortError::Away`] why that can not be said just now, for the person
    /// who registers the source.
    async fn inspect(&self, registration: Registration<'_>) -> Result<String, PortError> {
        Ok(registration.location.to_owned())
    }

    /// Whether a file of this name may be uploaded to a source of a kind; else what is wrong.
    fn check_file(&self, kind: &SourceKind, _name: &str) -> Result<(), String> {
        Err(format!("a source of kind {kind} takes no uploads"))
    }
}

/// Reads and replays dead letters.
#[async_trait]
pub trait DeadLetterAccess: Send + Sync {
    /// The newest dead letters of a topic, or of all, or those that come after an earlier part of the list; and where the
    /// next part begins.
    async fn list(
        &self,
        topic: Option<&str>,
        before: Option<&DeadLetterCursor>,
        limit: usize,
    ) -> Result<(Vec<DeadLetterView>, Option<DeadLetterCursor>), PortError>;

    /// One of them.
    async fn show(&self, id: &str) -> Result<Option<DeadLetterView>, PortError>;

    /// Appends it to its topic again; its new position, or none if there is no such dead letter.
    async fn replay(&self, id: &str) -> Result<Option<String>, PortError>;
}

/// The state of all routes.
pub struct App {
    pub options: Options,
    pub default_author: Option<AuthorId>,
    pub log: Arc<dyn EventLog>,
    pub warehouse: Arc<dyn Warehouse>,
    pub authors: KnownAuthors,
    pub sources: Arc<dyn SourceResolver>,
    pub dead_letters: Arc<dyn DeadLetterAccess>,
    pub health: Health,
    pub stages: Vec<StageGroup>,
    pub default_interval_s: u64,
    pub min_score: Option<f32>,
    pub uploads: Option<Uploads>,
    pub learning: Option<Learning>,
    pub asker: Asker,
    pub metrics: Metrics,
}

impl App {
    /// The author whose twin is asked: the one named, or the default; one that has anything.
    pub async fn author(&self, named: Option<AuthorId>) -> Result<AuthorId, Problem> {
        let author = named.or_else(|| self.default_author.clone());
        let author =
            author.ok_or_else(|| Problem::field("author", "is missing, and gateway.default_author is not set"))?;
        if self.authors.has(&author).await? {
            return Ok(author);
        }
        Err(Problem::not_found(format!(
            "there is no author {author:?}: no source, no document; `twin sources add` or `twin documents push` brings the first",
            author = author.as_str()
        )))
    }

    /// The learning loop, where this process has it.
    pub fn learning(&self) -> Result<&Learning, Problem> {
        let missing = "this twin runs without the learning loop: it has no datasets, jobs and model versions";
        // Without `Retry-After`: it would say the same later.
        let problem = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, missing);
        self.learning.as_ref().ok_or_else(problem)
    }

    /// Where uploads go, where this process takes them.
    pub fn uploads(&self) -> Result<&Uploads, Problem> {
        let problem = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, "this twin takes no uploads");
        self.uploads.as_ref().ok_or_else(problem)
    }
}

/// The client's trace context (W3C, version 00), where it sent a well-formed one.
pub fn trace_parent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(twin_schemas::attribute::TRACE_PARENT)?.to_str().ok()?;
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let hexadecimal = text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f' | '-'));
    (lengths == [2, 32, 16, 2] && hexadecimal && text.starts_with("00-")).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_trace_context_is_taken_over() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", text.parse().unwrap());
            trace_parent(&headers)
        };
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(read(good).as_deref(), Some(good));
        assert_eq!(read("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), None);
        assert_eq!(read("00-0af7-b7ad6b7169203331-01"), None);
        assert_eq!(read("anything"), None);
    }
}
