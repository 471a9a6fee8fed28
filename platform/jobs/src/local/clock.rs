//! How long a process has run, by a clock that nobody sets and that stands still while the machine is suspended.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A moment in the life of a machine, from its start to its end: all its processes see the same clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moment {
    /// Which start of which machine.
    boot: String,
    /// Seconds of `CLOCK_MONOTONIC`.
    seconds: u64,
}

impl Moment {
    /// None where the system does not say.
    pub(super) fn now() -> Option<Self> {
        let boot = std::fs::read_to_string(BOOT_ID).ok()?.trim().to_owned();
        let time = clock_gettime(ClockId::CLOCK_MONOTONIC).ok()?;
        Some(Self { boot, seconds: Duration::from(time).as_secs() })
    }

    /// None if it was on another machine, or before this one was started.
    pub(super) fn elapsed(&self) -> Option<Duration> {
        let now = Self::now()?;
        (now.boot == self.boot).then(|| Duration::from_secs(now.seconds.saturating_sub(self.seconds)))
    }
}

/// Seconds since 1970.
pub(super) fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
