//! The queue that the session threads share.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use twin_embedding::Purpose;

/// Three lanes: a query that waits goes before any candidate that waits, and a candidate before any passage. Its length is
/// bounded by whoever pushes.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    queries: VecDeque<T>,
    candidates: VecDeque<T>,
    passages: VecDeque<T>,
    closed: bool,
}

impl<T> State<T> {
    fn new() -> Self {
        Self { queries: VecDeque::new(), candidates: VecDeque::new(), passages: VecDeque::new(), closed: false }
    }

    /// The lanes, the one that goes first first.
    fn lanes(&mut self) -> [&mut VecDeque<T>; 3] {
        [&mut self.queries, &mut self.candidates, &mut self.passages]
    }
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State::new()), changed: Condvar::new() }
    }

    /// Appends to a lane. Once closed, items are dropped.
    pub(crate) fn push(&self, lane: Purpose, items: impl IntoIterator<Item = T>) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        match lane {
            Purpose::Query => state.queries.extend(items),
            Purpose::Candidate => state.candidates.extend(items),
            Purpose::Passage => state.passages.extend(items),
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The next item, waiting for it. None once closed.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(item) = state.lanes().into_iter().find_map(VecDeque::pop_front) {
                return Some(item);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the queue is closed, at most for that long. Whether it is.
    pub(crate) fn closes_within(&self, patience: Duration) -> bool {
        let open = |state: &mut State<T>| !state.closed;
        let waited = self.changed.wait_timeout_while(self.lock(), patience, open);
        waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// Ends the queue: what waits is dropped, every `pop` returns none.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let dropped = state.lanes().map(std::mem::take);
        drop(state);
        drop(dropped);
        self.changed.notify_all();
    }

    /// No code panics while it holds the lock, so a poisoned lock still guards a whole state.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_query_goes_before_candidates_and_these_before_passages_that_came_earlier() {
        let queue = Queue::new();
        queue.push(Purpose::Passage, [1, 2]);
        queue.push(Purpose::Candidate, [3, 4]);
        queue.push(Purpose::Query, [5]);
        queue.push(Purpose::Passage, [6]);
        let order: Vec<i32> = (0..6).map(|_| queue.pop().unwrap()).collect();
        assert_eq!(order, [5, 3, 4, 1, 2, 6]);
    }

    #[test]
    fn closing_drops_what_waits_and_wakes_whoever_waits() {
        let queue = std::sync::Arc::new(Queue::<i32>::new());
        let waiting = {
            let queue = queue.clone();
            std::thread::spawn(move || queue.pop())
        };
        queue.close();
        assert_eq!(waiting.join().unwrap(), None);
        queue.push(Purpose::Query, [1]);
        assert_eq!(queue.pop(), None);
    }
}
