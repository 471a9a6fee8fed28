//! Turns at the model: how many answers and texts are written at once, how many wait, and which could not come in time.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Of the usual time of a kind of work, the part that the newest one makes up.
const WEIGHT: u64 = 4;

/// What a turn is for. The usual time of the one says nothing of the other: a text takes many times as long as an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// An answer, or vectors.
    Answer,
    /// A text that was ordered.
    Text,
}

/// The line of what is being written or waits for its turn.
pub(crate) struct Turns {
    free: Semaphore,
    concurrency: usize,
    places: usize,
    taken: AtomicUsize,
    answers: Line,
    texts: Line,
}

/// What is known of a kind of work.
#[derive(Default)]
struct Line {
    /// Places that it has.
    taken: AtomicUsize,
    /// How long one takes of late, microseconds; 0 before the first.
    usual_us: AtomicU64,
}

/// A place in the line, given back when it is dropped.
pub(crate) struct Place<'a> {
    turns: &'a Turns,
    work: Work,
    waits: bool,
}

/// A turn at the model, given back when it is dropped.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    work: Work,
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
            answers: Line::default(),
            texts: Line::default(),
        }
    }

    /// A place, unless the line is full, or so long that the work would hardly be done in the time that is `left`: whoever asks
    /// learns that at once instead of at the deadline.
    pub(crate) fn enter(&self, work: Work, left: Duration) -> Option<Place<'_>> {
        let needed = self.ahead().saturating_add(self.line(work).usual());
        let ahead = self.taken.fetch_add(1, Ordering::Relaxed);
        self.line(work).taken.fetch_add(1, Ordering::Relaxed);
        let place = Place { turns: self, work, waits: ahead >= self.concurrency };
        let in_time = !place.waits || needed <= left;
        (ahead < self.places && in_time).then_some(place)
    }

    /// How long the line takes that is there now, about: each kind of work its own time.
    fn ahead(&self) -> Duration {
        let turns = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let answers = self.answers.all();
        let all = answers.saturating_add(self.texts.all()) / turns(self.concurrency);
        // Texts that are fewer than the turns leave the others to answers.
        match self.concurrency.saturating_sub(self.texts.taken.load(Ordering::Relaxed)) {
            0 => all,
            free => all.min(answers / turns(free)),
        }
    }

    fn line(&self, work: Work) -> &Line {
        match work {
            Work::Answer => &self.answers,
            Work::Text => &self.texts,
        }
    }
}

impl Line {
    /// How long all take that have a place, one behind the other.
    fn all(&self) -> Duration {
        let taken = u32::try_from(self.taken.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        self.usual().saturating_mul(taken)
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
        if self.waits && self.turns.line(self.work).usual() > left.saturating_sub(asked.elapsed()) {
            return Err(NoTurn::TooLate);
        }
        Ok(Turn { turns: self.turns, work: self.work, began: Instant::now(), _permit: permit })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.turns.line(self.work).taken.fetch_sub(1, Ordering::Relaxed);
        self.turns.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turn<'_> {
    /// It was used to its end. One that failed or was cancelled says nothing about the next.
    pub(crate) fn used(self) {
        self.turns.line(self.work).note(self.began.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn with_usual(concurrency: usize, queue: usize, usual_s: u64) -> Turns {
        let turns = Turns::new(concurrency, queue);
        turns.answers.note(Duration::from_secs(usual_s));
        turns
    }

    #[test]
    fn a_full_line_takes_nobody_and_a_place_that_is_given_back_is_free() {
        let turns = Turns::new(1, 1);
        let (first, second) = (turns.enter(Work::Answer, LONG), turns.enter(Work::Text, LONG));
        assert!(first.is_some() && second.is_some() && turns.enter(Work::Answer, LONG).is_none());
        drop(first);
        assert!(turns.enter(Work::Answer, LONG).is_some());
    }

    #[test]
    fn whoever_could_not_be_served_in_time_is_not_taken() {
        let turns = with_usual(2, 100, 10);
        let enter = |left_s| turns.enter(Work::Answer, Duration::from_secs(left_s));
        let places: Vec<_> = (0..4).filter_map(|_| enter(25)).collect();
        assert_eq!(places.len(), 4, "two at once, and two that are done after twenty seconds or so");
        assert!(enter(25).is_none(), "the fifth would be done after thirty");
        assert!(enter(30).is_some());
    }

    #[test]
    fn texts_that_took_long_turn_away_no_answer_that_waits_for_answers_alone() {
        let turns = with_usual(1, 10, 4);
        for _ in 0..5 {
            turns.texts.note(Duration::from_secs(120));
        }
        let enter = |work| turns.enter(work, Duration::from_secs(60));
        let being_written = enter(Work::Answer);
        assert!(enter(Work::Answer).is_some(), "it is done after eight seconds");
        assert!(enter(Work::Text).is_none(), "a text would not be");
        drop(being_written);
        let text = enter(Work::Text);
        assert!(text.is_some(), "a model that is free is tried");
        assert!(enter(Work::Answer).is_none(), "the text that is being written takes two minutes");
    }

    #[test]
    fn beside_a_text_that_takes_long_the_other_turn_is_for_answers() {
        let turns = with_usual(2, 10, 4);
        turns.texts.note(Duration::from_secs(120));
        let enter = |work| turns.enter(work, Duration::from_secs(60));
        let (text, answer) = (enter(Work::Text), enter(Work::Answer));
        assert!(text.is_some() && answer.is_some());
        let waits = enter(Work::Answer);
        assert!(waits.is_some(), "it is done after eight seconds");
        assert!(enter(Work::Text).is_none(), "a text would be done after two minutes");
    }

    #[test]
    fn a_model_that_is_free_is_tried_however_slow_it_was() {
        let turns = with_usual(1, 10, 120);
        assert!(turns.enter(Work::Answer, Duration::from_secs(5)).is_some());
    }

    #[tokio::test]
    async fn one_that_waited_for_too_long_gives_its_turn_to_the_next() {
        let turns = Turns::new(1, 10);
        let (first, second) = (turns.enter(Work::Answer, LONG).unwrap(), turns.enter(Work::Answer, LONG).unwrap());
        first.turn(LONG).await.unwrap().used();
        turns.answers.note(Duration::from_secs(500));
        assert_eq!(second.turn(LONG).await.err(), Some(NoTurn::TooLate));
        let held = first.turn(LONG).await.unwrap();
        assert_eq!(second.turn(Duration::from_millis(10)).await.err(), Some(NoTurn::Expired));
        drop(held);
    }

    #[test]
    fn the_usual_time_follows_the_newest() {
        let turns = with_usual(1, 1, 4);
        for _ in 0..20 {
            turns.answers.note(Duration::from_secs(1));
        }
        assert!(turns.answers.usual() < Duration::from_millis(1_100), "{:?}", turns.answers.usual());
    }
}
