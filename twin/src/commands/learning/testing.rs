//! Jobs to test with.

use chrono::{DateTime, TimeDelta};

use twin_api::{JobStateView, JobView};

/// A queued job whose id repeats `digits`; if it has ended, 90 s after its start.
pub fn job(digits: &str) -> JobView {
    let created_at = DateTime::UNIX_EPOCH;
    JobView {
        job: digits.repeat(64 / digits.len()),
        author: "ada".to_owned(),
        dataset: "d".repeat(64),
        base: "base".to_owned(),
        recipe: "rank = 8\nseed = 1\n".to_owned(),
        sweep: None,
        code_version: "1.0.0".to_owned(),
        state: JobStateView::Queued,
        reason: None,
        attempts: 1,
        cancel_requested: false,
        pending: false,
        progress: None,
        plan: None,
        created_at,
        started_at: Some(created_at + TimeDelta::seconds(10)),
        ended_at: Some(created_at + TimeDelta::seconds(100)),
        model: None,
    }
}
