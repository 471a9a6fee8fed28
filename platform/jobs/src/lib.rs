//! Long work in child processes of this program.
//!
//! A job is a folder: `order.json` says what to do, the child writes `progress.json` as it goes and `outcome.json` at the
//! end, and its output goes to `log`. Files appear as a whole (written beside, synced, renamed). The child holds a lock on
//! the folder for as long as it lives, so that a parent that was started anew can tell a child that works from one that is
//! gone, and a job is never worked on twice at once. A child outlives its parent.
//!
//! Deliberately not here: what the work is, and whether to try again.

mod children;
mod clock;
mod files;
mod limits;
mod worker;

pub use children::{Children, Look};
pub use limits::Limits;
pub use worker::Worker;

use std::path::PathBuf;

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
}
