//! The store port: an author's steps, and rows made of them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use twin_backend::Error;
use twin_schemas::{AuthorId, DatasetId, DocumentId, JobId, Split};

use crate::members::{KeptMember, Member};
use crate::model::{JobProgress, Metric, MetricPosition, NotedProgress};
use crate::rows::{Kind, Row, RowPosition};
use crate::rules::{Event, Step};

/// A step to append.
#[derive(Debug, Clone, PartialEq)]
pub struct NewStep {
    /// Whose.
    pub author: AuthorId,
    /// Its number among the author's, from 1.
    pub number: u64,
    /// What has happened.
    pub step: Step,
    /// What others are told of it.
    pub event: Option<Event>,
}

/// A step that something is left to do for.
#[derive(Debug, Clone, PartialEq)]
pub struct Unsettled {
    /// Whose.
    pub author: AuthorId,
    /// Its number among the author's.
    pub number: u64,
    /// The event that is not in the log yet.
    pub event: Option<Event>,
    /// Its rows may not be written: the process that appended it died before. Where a step and its rows are one write,
    /// this is never so.
    pub rows_missing: bool,
}

/// Which rows.
#[derive(Debug, Clone, PartialEq)]
pub struct RowQuery {
    /// Of this kind.
    pub kind: Kind,
    /// Only this author's.
    pub author: Option<AuthorId>,
    /// Only in one of these states; empty: in any.
    pub states: Vec<String>,
    /// Oldest or newest first; rows of one moment by id.
    pub order: SortOrder,
    /// Only what comes after this position in that order.
    pub after: Option<RowPosition>,
    /// At most so many.
    pub limit: usize,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortOrder {
    /// By time.
    OldestFirst,
    /// Against time.
    NewestFirst,
}

/// Where the registry keeps what it knows. All writes are durable when their future ends.
///
/// What decides is [`Self::append`] alone: one row, refused if its number is there. Everything else is a read, or can be
/// written again without harm.
#[async_trait]
pub trait Store: Send + Sync {
    /// At most `limit` of an author's steps after the one of that number, in order.
    async fn steps(&self, author: &AuthorId, after: u64, limit: usize) -> Result<Vec<Step>, Error>;

    /// Appends a step and writes its rows. False, and nothing is written, if there is a step of that number. A store that
    /// can not write both at once writes the step first, and counts it as unsettled until the rows are there.
    async fn append(&self, step: NewStep, rows: Vec<Row>) -> Result<bool, Error>;

    /// Writes rows, each unless one of a higher step is there.
    async fn put_rows(&self, rows: Vec<Row>) -> Result<(), Error>;

    /// The oldest steps that something is left to do for: an author's in their order, without a gap.
    async fn unsettled(&self, limit: usize) -> Result<Vec<Unsettled>, Error>;

    /// Nothing is left to do for these steps.
    async fn settle(&self, steps: &[(AuthorId, u64)]) -> Result<(), Error>;

    /// Rows.
    async fn rows(&self, query: RowQuery) -> Result<Vec<Row>, Error>;

    /// At most two rows of a kind whose ids begin so, by id: whether a shortened id names one row.
    async fn rows_like(&self, kind: Kind, prefix: &str) -> Result<Vec<Row>, Error>;

    /// Notes the documents of a dataset version, before its step. A row that is there stays as it is, but for one that
    /// does not say where its document is: it is completed.
    async fn put_members(&self, dataset: &DatasetId, members: &[Member]) -> Result<(), Error>;

    /// A document is gone: versions that hold it are marked, unless they are already.
    async fn mark_deleted(&self, document: DocumentId, at: DateTime<Utc>) -> Result<(), Error>;

    /// At most `limit` documents of a version, by id: those of which no passage is in it too.
    async fn members(
        &self,
        dataset: &DatasetId,
        after: Option<DocumentId>,
        limit: usize,
    ) -> Result<Vec<KeptMember>, Error>;

    /// How many documents whose words are in each of these versions were deleted since.
    async fn deleted_members(&self, datasets: &[DatasetId]) -> Result<BTreeMap<DatasetId, u64>, Error>;

    /// The versions that hold words of a document, each with the split that it is in there, where that was noted.
    async fn datasets_with(&self, document: DocumentId) -> Result<Vec<(DatasetId, Option<Split>)>, Error>;

    /// Notes how far that attempt of a job is. False, and nothing is noted, if a higher attempt has said how far it is, or
    /// this one that it is further.
    async fn put_progress(&self, job: &JobId, attempt: u32, progress: &JobProgress) -> Result<bool, Error>;

    /// How far these jobs are, as far as they have said.
    async fn progress(&self, jobs: &[JobId]) -> Result<BTreeMap<JobId, NotedProgress>, Error>;

    /// Adds values of a run. One of a step that is there already is replaced.
    async fn put_metrics(&self, job: &JobId, metrics: &[Metric]) -> Result<(), Error>;

    /// At most `limit` values of a run, by name and step.
    async fn metrics(&self, job: &JobId, after: Option<&MetricPosition>, limit: usize) -> Result<Vec<Metric>, Error>;
}
