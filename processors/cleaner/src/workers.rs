//! Threads for the work on documents, with a deadline for each piece. It is one of processor time: that of the clock says
//! how busy the machine is, and nothing of the document.
//!
//! A thread can not be killed. One that is past its deadline is abandoned: it is counted, and up to a bound another
//! may take its place. They are threads of our own, since the runtime waits for its blocking threads when it ends.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::processor_time::ThreadClock;

/// Deep trees are walked recursively.
const STACK_BYTES: usize = 8 << 20;

/// The deadline by the clock is this many times that of processor time, and no shorter than that.
const PATIENCE: u32 = 12;
const LEAST_PATIENCE: Duration = Duration::from_secs(10);

/// The shortest time between two looks at how long a thread has worked.
const SHORTEST_LOOK: Duration = Duration::from_millis(5);

/// Bounded threads.
#[derive(Clone)]
pub(crate) struct Workers {
    places: Arc<Semaphore>,
    abandoned: IntGauge,
    max_abandoned: usize,
    deadline: Duration,
    patience: Duration,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The work was still going on when it had had that much processor time.
    #[error("not done after {0:?} of processor time")]
    Deadline(Duration),
    /// It was given too little of the processor in that time.
    #[error("the machine is too busy: not done after {0:?}, of which it could work for a small part")]
    Starved(Duration),
    /// The work panicked.
    #[error("the cleaner panicked")]
    Panicked,
    /// All threads are taken by work past its deadline.
    #[error("no thread came free within {0:?}")]
    NoThread(Duration),
    /// The system gives no thread.
    #[error("no thread: {0}")]
    Spawn(String),
}

/// What the thread and the one who waits for it share.
#[derive(Default)]
struct Job {
    place: Option<OwnedSemaphorePermit>,
    is_abandoned: bool,
    is_finished: bool,
}

impl Workers {
    pub(crate) fn new(threads: usize, max_abandoned: usize, deadline: Duration, abandoned: IntGauge) -> Self {
        let patience = (deadline * PATIENCE).max(LEAST_PATIENCE);
        Self { places: Arc::new(Semaphore::new(threads.max(1))), abandoned, max_abandoned, deadline, patience }
    }

    /// Runs the work on a thread, once there is a place, and waits for its result until the deadline.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let place = tokio::time::timeout(self.deadline, Arc::clone(&self.places).acquire_owned());
        let Ok(Ok(place)) = place.await else {
            return Err(Failure::NoThread(self.deadline));
        };
        let job = Arc::new(Mutex::new(Job { place: Some(place), ..Job::default() }));
        let finishes = Finishes { job: Arc::clone(&job), abandoned: self.abandoned.clone() };
        let (sender, receiver) = oneshot::channel();
        let clock = Arc::new(OnceLock::new());
        let thread_clock = Arc::clone(&clock);
        let body = move || {
            thread_clock.get_or_init(ThreadClock::of_this_thread);
            // Dropped last, also when the work panics.
            let _finishes = finishes;
            // The receiver is gone after the deadline.
            let _ = sender.send(work());
        };
        std::thread::Builder::new()
            .name("cleaner".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(body)
            .map_err(|error| Failure::Spawn(error.to_string()))?;
        let result = self.wait(receiver, &clock).await;
        if matches!(result, Err(Failure::Deadline(_) | Failure::Starved(_))) {
            self.abandon(&job);
        }
        result
    }

    async fn wait<T>(&self, mut result: oneshot::Receiver<T>, clock: &OnceLock<ThreadClock>) -> Result<T, Failure> {
        let began = Instant::now();
        // It can not have worked for longer than it was there.
        let mut look_after = self.deadline;
        loop {
            match tokio::time::timeout(look_after, &mut result).await {
                Ok(Ok(result)) => return Ok(result),
                Ok(Err(_)) => return Err(Failure::Panicked),
                Err(_) => {}
            }
            let worked = clock.get().map_or(Duration::ZERO, |clock| clock.elapsed());
            if worked >= self.deadline {
                return Err(Failure::Deadline(self.deadline));
            }
            let left = self.patience.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(Failure::Starved(self.patience));
            }
            look_after = (self.deadline - worked).max(SHORTEST_LOOK).min(left);
        }
    }

    fn abandon(&self, job: &Mutex<Job>) {
        let mut job = lock(job);
        if job.is_finished {
            return;
        }
        job.is_abandoned = true;
        self.abandoned.inc();
        let abandoned = usize::try_from(self.abandoned.get()).unwrap_or(0);
        if abandoned <= self.max_abandoned {
            job.place = None;
        }
    }
}

/// Gives the place back when the thread ends.
struct Finishes {
    job: Arc<Mutex<Job>>,
    abandoned: IntGauge,
}

impl Drop for Finishes {
    fn drop(&mut self) {
        let mut job = lock(&self.job);
        job.is_finished = true;
        job.place = None;
        if job.is_abandoned {
            self.abandoned.dec();
        }
    }
}

fn lock(job: &Mutex<Job>) -> MutexGuard<'_, Job> {
    job.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use super::*;

    fn workers(max_abandoned: usize, deadline_ms: u64) -> Workers {
        let gauge = IntGauge::new("abandoned", "abandoned").unwrap();
        Workers::new(1, max_abandoned, Duration::from_millis(deadline_ms), gauge)
    }

    /// Work that gets no processor is given up soon.
    fn impatient(max_abandoned: usize) -> Workers {
        Workers { patience: Duration::from_millis(120), ..workers(max_abandoned, 10) }
    }

    async fn until(mut condition: impl FnMut() -> bool) {
        let started = Instant::now();
        while !condition() {
            assert!(started.elapsed() < Duration::from_secs(10), "the condition never came true");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn work_past_its_deadline_is_counted_until_it_ends_and_another_takes_its_place() {
        let workers = workers(1, 50);
        let released = Arc::new(AtomicBool::new(false));
        let release = Arc::clone(&released);
        let stuck = workers.run(move || while !release.load(Ordering::SeqCst) {}).await;
        assert_eq!(stuck, Err(Failure::Deadline(Duration::from_millis(50))));
        assert_eq!(workers.abandoned.get(), 1);
        assert_eq!(workers.run(|| 7).await, Ok(7));
        released.store(true, Ordering::SeqCst);
        until(|| workers.abandoned.get() == 0).await;
    }

    #[tokio::test]
    async fn work_that_was_kept_from_a_processor_is_waited_for() {
        let workers = workers(0, 50);
        let (_open, wait) = mpsc::channel::<()>();
        // The thread has four times as long as its deadline, and works next to nothing in it.
        let slept = workers.run(move || wait.recv_timeout(Duration::from_millis(200)).is_err()).await;
        assert_eq!(slept, Ok(true));
        assert_eq!(workers.abandoned.get(), 0);
    }

    #[tokio::test]
    async fn work_that_gets_no_processor_for_long_is_abandoned_without_a_verdict() {
        let workers = impatient(1);
        let (release, wait) = mpsc::channel::<()>();
        let stuck = workers.run(move || wait.recv()).await;
        assert_eq!(stuck.err(), Some(Failure::Starved(Duration::from_millis(120))));
        assert_eq!(workers.run(|| 7).await, Ok(7));
        drop(release);
        until(|| workers.abandoned.get() == 0).await;
    }

    #[tokio::test]
    async fn with_too_many_abandoned_threads_no_further_one_is_started() {
        let workers = impatient(0);
        let (release, wait) = mpsc::channel::<()>();
        assert!(workers.run(move || wait.recv()).await.is_err());
        assert_eq!(workers.run(|| 7).await, Err(Failure::NoThread(Duration::from_millis(10))));
        drop(release);
        until(|| workers.places.available_permits() == 1).await;
        assert_eq!(workers.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_reported_and_costs_no_place() {
        let workers = workers(0, 5000);
        assert_eq!(workers.run(|| assert_eq!(1, 2, "on purpose")).await, Err(Failure::Panicked));
        assert_eq!(workers.run(|| 7).await, Ok(7));
    }
}
