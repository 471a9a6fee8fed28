//! The queue that the session threads share.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use twin_embedding::Purpose;

/// Two lanes: a query that waits goes before any passage that waits. Its length is bounded by whoever pushes.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    queries: VecDeque<T>,
    passages: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        let state = State { queries: VecDeque::new(), passages: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Appends to a lane. Once closed, items are dropped.
    pub(crate) fn push(&self, lane: Purpose, items: impl IntoIterator<Item = T>) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        match lane {
            Purpose::Query => state.queries.extend(items),
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
            if let Some(item) = state.queries.pop_front() {
                return Some(item);
            }
            if let Some(item) = state.passages.pop_front() {
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
        let dropped = (std::mem::take(&mut state.queries), std::mem::take(&mut state.passages));
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
    fn a_waiting_query_goes_before_passages_that_came_earlier() {
        let queue = Queue::new();
        queue.push(Purpose::Passage, [1, 2]);
        queue.push(Purpose::Query, [3]);
        queue.push(Purpose::Passage, [4]);
        let order: Vec<i32> = (0..4).map(|_| queue.pop().unwrap()).collect();
        assert_eq!(order, [3, 1, 2, 4]);
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
