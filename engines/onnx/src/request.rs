//! Some texts of one caller, and what becomes of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use twin_embedding::Purpose;

use crate::Error;
use crate::metrics::Metrics;

/// Some texts of one caller.
pub(crate) struct Request {
    pub(crate) lane: Purpose,
    texts: usize,
    state: Mutex<RequestState>,
    metrics: Metrics,
    _room: OwnedSemaphorePermit,
}

struct RequestState {
    vectors: Vec<Vec<f32>>,
    left: usize,
    reply: Option<Reply>,
}

/// What a caller waits for: the vector of each text.
pub(crate) type Reply = oneshot::Sender<Result<Vec<Vec<f32>>, Error>>;

impl Request {
    /// A request for the vectors of so many texts, which take up that room until it is over.
    pub(crate) fn new(lane: Purpose, texts: usize, room: OwnedSemaphorePermit, metrics: Metrics, reply: Reply) -> Self {
        metrics.queue_texts.add(texts as i64);
        let state = RequestState { vectors: vec![Vec::new(); texts], left: texts, reply: Some(reply) };
        Self { lane, texts, state: Mutex::new(state), metrics, _room: room }
    }

    /// Nobody waits for it any more: it failed, or its caller is gone.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    pub(crate) fn fail(&self, error: Error) {
        if let Some(reply) = self.lock().reply.take() {
            // The caller may be gone, which is fine.
            let _ = reply.send(Err(error));
        }
    }

    pub(crate) fn fulfil(&self, rows: impl IntoIterator<Item = (usize, Vec<f32>)>) {
        let mut state = self.lock();
        for (index, vector) in rows {
            state.vectors[index] = vector;
            state.left -= 1;
        }
        if state.left > 0 {
            return;
        }
        let vectors = std::mem::take(&mut state.vectors);
        if let Some(reply) = state.reply.take() {
            // The caller may be gone, which is fine.
            let _ = reply.send(Ok(vectors));
        }
    }

    fn lock(&self) -> MutexGuard<'_, RequestState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.metrics.queue_texts.sub(self.texts as i64);
    }
}
