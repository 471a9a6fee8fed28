//! Waiting for a condition.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long any condition may take. Far above the usual second, for busy machines.
pub const DEADLINE: Duration = Duration::from_secs(120);

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Asks `probe` until it gives something.
///
/// # Errors
/// The probe failed, or gave nothing before [`DEADLINE`]: the message says `what` was waited for.
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    within(DEADLINE, what, probe).await
}

/// As [`eventually`], for what may take longer: training, an evaluation.
///
/// # Errors
/// As [`eventually`]'s.
pub async fn within<T>(longest: Duration, what: &str, mut probe: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + longest;
    loop {
        if let Some(found) = probe().await? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("not within {} s: {what}", longest.as_secs());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
