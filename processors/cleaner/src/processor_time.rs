//! Time in which a thread was given a processor. How long that takes by the clock is the machine's load.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::gettid;

/// The processor time of the calling thread.
pub(crate) fn of_this_thread() -> Duration {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// The processor time of a thread, for others to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadClock(ClockId);

impl ThreadClock {
    /// The calling thread's.
    pub(crate) fn of_this_thread() -> Self {
        // Linux's number for the clock of a thread, as `pthread_getcpuclockid` makes it: MAKE_THREAD_CPUCLOCK(thread,
        // CPUCLOCK_SCHED).
        Self(ClockId::from_raw((!gettid().as_raw() << 3) | 6))
    }

    /// Zero once the thread has ended.
    pub(crate) fn elapsed(self) -> Duration {
        read(self.0)
    }
}

/// Fails for a thread that has ended, and in no other case.
fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_clock_of_a_thread_counts_its_work_and_not_its_waiting() {
        let (sender, clock) = mpsc::channel();
        let (release, wait) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let begun = of_this_thread();
            while of_this_thread() < begun + Duration::from_millis(20) {}
            sender.send(ThreadClock::of_this_thread()).unwrap();
            wait.recv()
        });
        let clock = clock.recv().unwrap();
        let worked = clock.elapsed();
        assert!(worked >= Duration::from_millis(20), "{worked:?}");
        std::thread::sleep(Duration::from_millis(50));
        assert!(clock.elapsed() < worked + Duration::from_millis(20), "{:?}", clock.elapsed());
        drop(release);
        assert!(thread.join().unwrap().is_err());
    }
}
