//! Turns at the model: how many answers are written at once, how many wait, and which could not come in time.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Of the usual time of an answer, the part that the newest one makes up.
const WEIGHT: u64 = 4;

/// The line of answers that are being written or wait for their turn.
pub(crate) struct Turns {
    free: Semaphore,
    concurrency: usize,
    places: usize,
    taken: AtomicUsize,
    /// How long an answer takes to write of late, microseconds; 0 before the first.
    usual_us: AtomicU64,
}

/// A place in the line, given back when it is dropped.
pub(crate) struct Place<'a> {
    turns: &'a Turns,
    waits: bool,
}

/// A turn at the model, given back when it is dropped.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    began: Instant,
    _permit: SemaphorePermit<'a>,
}

/// Why there is no turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoTurn {
    /// It would come too late for the answer to be written in time.
    TooLate,
    /// It did not come before the deadline.
    Expired,
}

impl Turns {
    /// So many at once, and so many that wait.
    pub(crate) fn new(concurrency: usize, queue: usize) -> Self {
        let concurrency = concurrency.max(1);
        Self {
            free: Semaphore::new(concurrency),
            concurrency,
            places: concurrency + queue,
            taken: AtomicUsize::new(0),
            usual_us: AtomicU64::new(0),
        }
    }

    /// A place, unless the line is full, or so long that an answer would hardly be written in the time that is `left`:
    /// whoever asks learns that at once instead of at the deadline.
    pub(crate) fn enter(&self, left: Duration) -> Option<Place<'_>> {
        let ahead = self.taken.fetch_add(1, Ordering::Relaxed);
        let place = Place { turns: self, waits: ahead >= self.concurrency };
        let rounds = u32::try_from(ahead / self.concurrency + 1).unwrap_or(u32::MAX);
        let in_time = !place.waits || self.usual().saturating_mul(rounds) <= left;
        (ahead < self.places && in_time).then_some(place)
    }

    fn usual(&self) -> Duration {
        Duration::from_micros(self.usual_us.load(Ordering::Relaxed))
    }

    fn note(&self, taken: Duration) {
        let taken_us = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX / WEIGHT);
        // Two that end at the same moment may lose one of them: it is an estimate.
        let usual_us = match self.usual_us.load(Ordering::Relaxed) {
            0 => taken_us,
            before => (before / WEIGHT) * (WEIGHT - 1) + taken_us / WEIGHT,
        };
        self.usual_us.store(usual_us, Ordering::Relaxed);
    }
}

impl<'a> Place<'a> {
    /// Waits for the turn, as long as there is time `left`.
    pub(crate) async fn turn(&self, left: Duration) -> Result<Turn<'a>, NoTurn> {
        let asked = Instant::now();
        // The semaphore is never closed, so an error can only be the time-out.
        let Ok(Ok(permit)) = tokio::time::timeout(left, self.turns.free.acquire()).await else {
            return Err(NoTurn::Expired);
        };
        // What is usual may have become known while it waited. One that did not wait always has its try, or a model
        // that was slow once would never be asked again.
        if self.waits && self.turns.usual() > left.saturating_sub(asked.elapsed()) {
            return Err(NoTurn::TooLate);
        }
        Ok(Turn { turns: self.turns, began: Instant::now(), _permit: permit })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.turns.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turn<'_> {
    /// It was used to its end. One that failed or was cancelled says nothing about the next.
    pub(crate) fn used(self) {
        self.turns.note(self.began.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn with_usual(concurrency: usize, queue: usize, usual_s: u64) -> Turns {
        let turns = Turns::new(concurrency, queue);
        turns.note(Duration::from_secs(usual_s));
        turns
    }

    #[test]
    fn a_full_line_takes_nobody_and_a_place_that_is_given_back_is_free() {
        let turns = Turns::new(1, 1);
        let (first, second) = (turns.enter(LONG), turns.enter(LONG));
        assert!(first.is_some() && second.is_some() && turns.enter(LONG).is_none());
        drop(first);
        assert!(turns.enter(LONG).is_some());
    }

    #[test]
    fn whoever_could_not_be_served_in_time_is_not_taken() {
        let turns = with_usual(2, 100, 10);
        let places: Vec<_> = (0..4).filter_map(|_| turns.enter(Duration::from_secs(25))).collect();
        assert_eq!(places.len(), 4, "two at once, and two that are done after twenty seconds");
        assert!(turns.enter(Duration::from_secs(25)).is_none(), "the fifth would be done after thirty");
        assert!(turns.enter(Duration::from_secs(30)).is_some());
    }

    #[test]
    fn a_model_that_is_free_is_tried_however_slow_it_was() {
        let turns = with_usual(1, 10, 120);
        assert!(turns.enter(Duration::from_secs(5)).is_some());
    }

    #[tokio::test]
    async fn one_that_waited_for_too_long_gives_its_turn_to_the_next() {
        let turns = Turns::new(1, 10);
        let (first, second) = (turns.enter(LONG).unwrap(), turns.enter(LONG).unwrap());
        first.turn(LONG).await.unwrap().used();
        turns.note(Duration::from_secs(500));
        assert_eq!(second.turn(LONG).await.err(), Some(NoTurn::TooLate));
        let held = first.turn(LONG).await.unwrap();
        assert_eq!(second.turn(Duration::from_millis(10)).await.err(), Some(NoTurn::Expired));
        drop(held);
    }

    #[test]
    fn the_usual_time_follows_the_newest() {
        let turns = with_usual(1, 1, 4);
        for _ in 0..20 {
            turns.note(Duration::from_secs(1));
        }
        assert!(turns.usual() < Duration::from_millis(1_100), "{:?}", turns.usual());
    }
}
