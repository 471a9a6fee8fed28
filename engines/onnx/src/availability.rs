//! Whether every thread has its session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use twin_telemetry::Readiness;

/// What readiness is told; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Availability {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    readiness: Option<Readiness>,
    suspended: usize,
}

/// A thread is without its session until this is dropped.
pub(crate) struct Suspended(Availability);

impl Availability {
    pub(crate) fn report_to(&self, readiness: Readiness) {
        let mut state = self.lock();
        state.readiness = Some(readiness);
        state.report();
    }

    pub(crate) fn suspend(&self) -> Suspended {
        let mut state = self.lock();
        state.suspended += 1;
        state.report();
        Suspended(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.suspended -= 1;
        state.report();
    }
}

impl State {
    fn report(&self) {
        match (&self.readiness, self.suspended) {
            (None, _) => {}
            (Some(readiness), 0) => readiness.ready(),
            (Some(readiness), _) => readiness.not_ready("an embedding session is loaded anew after a panic"),
        }
    }
}
