//! Processor time of a process, all threads.

use std::fs;

use anyhow::{Context, Result};

/// The unit of `/proc/PID/stat`: the kernel's `USER_HZ`, fixed at 100 a second for programs on every common Linux
/// architecture (proc(5)). So a measurement should take a second or more.
const TICKS_PER_S: f64 = 100.0;

/// Processor seconds that a measurement takes, at least.
const LEAST_SECONDS: f64 = 2.0;

/// User and system seconds that this process has spent so far.
pub fn seconds() -> Result<f64> {
    seconds_of(std::process::id())
}

/// User and system seconds that a process has spent so far.
pub fn seconds_of(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("can not read {path}"))?;
    parse(&stat).with_context(|| format!("{path} is not understood: {stat}"))
}

/// Processor seconds that a pass of some work takes in a process; it is repeated until enough can be told by the clock.
pub fn of_a_pass(process: u32, mut pass: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = seconds_of(process)?;
    let mut passes = 0_u32;
    loop {
        pass()?;
        passes += 1;
        let spent = seconds_of(process)? - start;
        if spent >= LEAST_SECONDS {
            return Ok(spent / f64::from(passes));
        }
    }
}

/// Fields 14 and 15 of proc_pid_stat(5). The second field, the program's name, may hold spaces and brackets.
fn parse(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_S)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_programs_name_does_not_shift_the_fields() {
        let stat = "7 (odd) name 1 2) R 1 7 7 0 -1 4194304 90 0 0 0 250 50 9 9 20 0 1 0 4242 1 1";
        assert_eq!(parse(stat), Some(3.0));
        assert_eq!(parse("7 (name) R 1"), None);
    }

    #[test]
    fn work_of_another_thread_counts() {
        let before = seconds().unwrap();
        let work = move || {
            let deadline = Instant::now() + Duration::from_secs(60);
            while seconds().unwrap() < before + 0.05 {
                assert!(Instant::now() < deadline, "no processor time within a minute");
            }
        };
        std::thread::spawn(work).join().unwrap();
        assert!(seconds().unwrap() >= before + 0.05);
    }
}
