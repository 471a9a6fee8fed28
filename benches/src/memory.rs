//! Memory of a process.

use std::fs;

use anyhow::{Context, Result};

/// A line of `/proc/PID/status` that is a size, megabytes: `VmHWM` is the most memory that the process has had so far,
/// with the pages of files that it maps; `RssAnon` is what it has now, without them (proc(5)). None: the process is gone.
pub fn of_process_mb(process: u32, field: &str) -> Result<Option<f64>> {
    let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) else { return Ok(None) };
    // Of one that has ended and whose parent has not looked yet, there is a status without memory.
    if !status.contains("\nVmRSS:") {
        return Ok(None);
    }
    parse(&status, field).map(Some).with_context(|| format!("{field} of process {process} is not understood"))
}

fn parse(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_a_process_that_is_gone_has_none() {
        assert_eq!(parse("Name:\tx\nVmHWM:\t    1000 kB\nVmRSS:\t 9 kB\n", "VmHWM"), Some(1.024));
        assert_eq!(parse("VmHWMX:\t1 kB\n", "VmHWM"), None);
        let here = std::process::id();
        assert!(of_process_mb(here, "RssAnon").unwrap() <= of_process_mb(here, "VmHWM").unwrap());
        assert_eq!(of_process_mb(u32::MAX, "VmHWM").unwrap(), None);
    }
}
