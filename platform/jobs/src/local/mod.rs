//! Jobs as child processes of this program.
//!
//! A job is a folder: `order.json` says what to do and what may be used, the child writes `progress.json` as it goes
//! and `outcome.json` at the end, and its output goes to `log`. Files appear as a whole (written beside, synced,
//! renamed). The child holds a lock on the folder for as long as it lives, so that a parent that was started anew can
//! tell a child that works from one that is gone, and a job is never worked on twice at once. A child outlives its
//! parent.
//!
//! `attempt` is the number of the highest attempt that was asked for. Whoever asks for one compares it there, one process
//! at a time (`.fence`, beside the folders).
//!
//! A folder of another version of this program is understood as far as that goes: a child that runs is waited for, and
//! one whose outcome can not be read counts as one that died, so that it is started again and goes on from its last
//! checkpoint.

mod children;
mod clock;
mod files;
mod memory;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use twin_backend::Kind as ErrorKind;

use crate::runner::{Kind, Resources, Runner, Status};
use children::{Children, Look};
pub use worker::Worker;

/// How a child says that it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome<P> {
    /// With a product.
    #[serde(rename = "Ok")]
    Succeeded(P),
    /// It can not be done; says why.
    #[serde(rename = "Err")]
    Failed(String),
    /// Something that it needs is away for a while; says what.
    #[serde(rename = "Passing")]
    Interrupted(String),
}

/// What is written into a job's folder for its child.
#[derive(Serialize, Deserialize)]
struct Submission<O> {
    resources: Resources,
    order: O,
}

/// What can go wrong with a job's folder or process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the job is not what it should be.
    #[error("{path} can not be read: {source}")]
    Json {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The child process.
    #[error("{program} can not be started: {source}")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process works on the job.
    #[error("{0} is being worked on by another process")]
    Busy(PathBuf),
    /// The process is ending.
    #[error("the work on the job's folder was broken off: the process is ending")]
    Closed,
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::File { .. } | Self::Start { .. } | Self::Busy(_) | Self::Closed => true,
            Self::Json { .. } => false,
        }
    }
}

impl From<Error> for twin_backend::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::File { source, .. } if is_of_the_disk(source) => ErrorKind::Disk,
            error if error.is_transient() => ErrorKind::Transient,
            _ => ErrorKind::Permanent,
        };
        Self::new(kind, error)
    }
}

fn is_of_the_disk(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// Runs jobs as child processes of this program, in folders of their own.
#[derive(Clone)]
pub struct LocalRunner {
    children: Arc<Children>,
}

impl LocalRunner {
    /// Children that run `program` with `arguments` and the job's folder, the folders below `folder`.
    pub fn new(program: PathBuf, arguments: Vec<String>, folder: PathBuf) -> Self {
        Self { children: Arc::new(Children::new(program, arguments, folder)) }
    }

    /// Works on the folders off the runtime's threads.
    async fn with<T, F>(&self, work: F) -> Result<T, twin_backend::Error>
    where
        T: Send + 'static,
        F: FnOnce(&Children) -> Result<T, Error> + Send + 'static,
    {
        let children = self.children.clone();
        let done = tokio::task::spawn_blocking(move || work(&children)).await;
        Ok(done.map_err(|_| Error::Closed).flatten()?)
    }
}

#[async_trait]
impl<K: Kind> Runner<K> for LocalRunner {
    async fn submit(
        &self,
        job: &str,
        attempt: u32,
        resources: &Resources,
        order: &K::Order,
    ) -> Result<(), twin_backend::Error> {
        let order = serde_json::to_value(order).map_err(twin_backend::Error::permanent)?;
        let (job, submission) = (job.to_owned(), Submission { resources: *resources, order });
        self.with(move |children| children.start(&job, attempt, &submission)).await
    }

    async fn status(&self, job: &str) -> Result<Status<K::Product, K::Report>, twin_backend::Error> {
        let name = job.to_owned();
        let look = self.with(move |children| children.look(&name)).await?;
        Ok(status(look))
    }

    async fn cancel(&self, job: &str, attempt: u32) -> Result<(), twin_backend::Error> {
        let job = job.to_owned();
        self.with(move |children| children.kill(&job, attempt)).await
    }

    async fn reopen(&self, job: &str, attempt: u32) -> Result<(), twin_backend::Error> {
        let job = job.to_owned();
        self.with(move |children| children.reopen(&job, attempt)).await
    }

    async fn forget(&self, job: &str, attempt: u32) -> Result<(), twin_backend::Error> {
        let job = job.to_owned();
        self.with(move |children| children.remove(&job, attempt)).await
    }
}

/// What a job's folder shows, in the types of its kind.
fn status<P, R>(look: Look) -> Status<P, R>
where
    P: serde::de::DeserializeOwned,
    R: serde::de::DeserializeOwned,
{
    match look {
        Look::Gone(said) => Status::Absent(said),
        // For a moment: processes start at once here, and no more are submitted than may run.
        Look::Starting => Status::Pending,
        // A report of another version says nothing.
        Look::Working(report) => Status::Running(report.and_then(|report| serde_json::from_value(report).ok())),
        Look::Ended(outcome) => match serde_json::from_value::<Outcome<P>>(outcome) {
            Ok(Outcome::Succeeded(product)) => Status::Succeeded(product),
            Ok(Outcome::Failed(reason)) => Status::Failed(reason),
            Ok(Outcome::Interrupted(reason)) => Status::Interrupted(reason),
            Err(error) => Status::Absent(format!("its outcome can not be read: {error}")),
        },
    }
}

/// Whether an outcome says that the job may go on.
fn is_passing(outcome: &Value) -> bool {
    matches!(serde_json::from_value(outcome.clone()), Ok(Outcome::<Value>::Interrupted(_)))
}
