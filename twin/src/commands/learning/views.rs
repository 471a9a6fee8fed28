//! What several of these commands show of the API's types.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use twin_api::{DatasetDetail, JobView};

use crate::client::unexpected;
use crate::error::CommandError;

/// A file in a manifest.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct File {
    pub name: String,
    pub lines: u64,
    pub bytes: u64,
}

/// The files of a dataset version, from its manifest.
pub fn files(detail: &DatasetDetail) -> Result<Vec<File>, CommandError> {
    Vec::deserialize(&detail.manifest["files"]).map_err(unexpected)
}

/// Seconds from a job's last start to its end, or to now.
pub fn seconds(job: &JobView, now: DateTime<Utc>) -> Option<f64> {
    let started = job.started_at?;
    let ended = job.ended_at.filter(|_| job.state.has_ended()).unwrap_or(now);
    Some((ended - started).as_seconds_f64())
}
