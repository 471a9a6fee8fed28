//! The port to where jobs run.

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use twin_backend::Error;

/// A kind of job. What is given and told of it travels between machines: it names artifacts, and no path of a machine.
pub trait Kind: Send + Sync + 'static {
    /// What is to be done.
    type Order: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What a job says of itself while it runs.
    type Report: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static;
    /// What it has made.
    type Product: Serialize + DeserializeOwned + Send + Sync + 'static;
}

/// What an attempt of a job may use. One that goes past is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Resident memory, bytes.
    pub memory_bytes: u64,
    /// Seconds from its start; time in which the machine was suspended does not count.
    pub seconds: u64,
}

/// How a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status<P, R> {
    /// Nobody works on it. If somebody did, they died, and this is the end of what they said.
    Absent(String),
    /// Who worked on it has given way: something that it needs is away for a while. Says what. Submitted again, it goes
    /// on.
    Interrupted(String),
    /// It is submitted and has not begun: it waits for a place to run.
    Pending,
    /// It is worked on; with what it said last, once it has said something.
    Running(Option<R>),
    /// It is done.
    Succeeded(P),
    /// It can not be done, or was ended; says why.
    Failed(String),
}

/// Where jobs of a kind run. A job is named by its id (letters, digits and `-`): submitting it twice starts it once,
/// whichever process asks.
///
/// An attempt is numbered, from 1, higher than those before it. The highest that was submitted or reopened is kept with
/// the job until it is forgotten, and what is asked for a lower one does nothing: who has stood still ends and wipes
/// nothing of what another has begun since.
///
/// An error is the runner's own (its machine or cluster is away) and says whether it passes; what becomes of a job is a
/// [`Status`].
#[async_trait]
pub trait Runner<K: Kind>: Send + Sync {
    /// Starts the job, unless it waits, runs or has ended; how a lower attempt ended does not count. One that died or gave
    /// way goes on from what it has left.
    async fn submit(&self, job: &str, attempt: u32, resources: &Resources, order: &K::Order) -> Result<(), Error>;

    /// How it is.
    async fn status(&self, job: &str) -> Result<Status<K::Product, K::Report>, Error>;

    /// Ends it; when this returns without an error, nobody works on it. What it has left stays. If who works on it can not
    /// be ended for now, that is an error that passes.
    async fn cancel(&self, job: &str, attempt: u32) -> Result<(), Error>;

    /// The attempt is about to begin: forgets how a lower one ended. How that attempt itself ended stays, and so does what
    /// else the job has left.
    async fn reopen(&self, job: &str, attempt: u32) -> Result<(), Error>;

    /// Removes all that it has left, its attempt's number too.
    async fn forget(&self, job: &str, attempt: u32) -> Result<(), Error>;
}
