//! What a child may use.

use std::time::Duration;

/// Bounds of a child process. One that goes past is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Resident memory, bytes.
    pub memory: u64,
    /// From its start; time in which the machine was suspended does not count.
    pub time: Duration,
}

/// Resident memory of a process now, bytes; none if it is gone or the system does not say.
pub(crate) fn resident(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}
