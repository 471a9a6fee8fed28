//! A query that is being worked on, and what is told to the workers when nobody waits for it any more.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;
use twin_schemas::{Attributes, FailureKind, QueryEvent, RequestId, Service};
use twin_stream::{EventLog, NewEvent, NewRecord};

use super::Asker;
use super::failure::Failure;
use super::question::Kind;
use crate::answers::PendingAnswers;
use crate::metrics::Metrics;

/// Leave to have one more query in flight, given back when it is dropped.
pub struct Permit {
    _permit: OwnedSemaphorePermit,
}

impl Permit {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: permit }
    }
}

/// Whether a worker still has to be told that nobody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worker {
    AtWork,
    Told,
}

/// A query in flight. Dropped before the answer is complete (the client has gone, the deadline passed), it tells the
/// workers to stop.
pub(super) struct InFlight {
    request_id: RequestId,
    kind: Kind,
    outcome: &'static str,
    worker: Worker,
    log: Arc<dyn EventLog>,
    pending: Arc<PendingAnswers>,
    metrics: Metrics,
    cancellations: TaskTracker,
    retry_after_s: u64,
    _permit: Permit,
}

impl InFlight {
    /// From now on, until it is dropped.
    pub(super) fn new(asker: &Asker, request_id: RequestId, kind: Kind, permit: Permit) -> Self {
        asker.metrics.query_began();
        Self {
            request_id,
            kind,
            outcome: "cancelled",
            worker: Worker::AtWork,
            log: Arc::clone(&asker.log),
            pending: Arc::clone(&asker.pending),
            metrics: asker.metrics.clone(),
            cancellations: asker.cancellations.clone(),
            retry_after_s: asker.retry_after_s,
            _permit: permit,
        }
    }

    /// The id that it has in the log.
    pub(super) fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// It ends without an answer.
    pub(super) fn failed(&mut self, failure: Failure, worker: Worker) -> Failure {
        self.outcome = failure.outcome();
        self.worker = worker;
        failure
    }

    /// The worker has ended it.
    pub(super) fn failed_at_work(&mut self, kind: FailureKind, message: String) -> Failure {
        self.failed(Failure::told(kind, message, self.retry_after_s), Worker::Told)
    }

    /// The answer is complete.
    pub(super) fn complete(&mut self, outcome: &'static str) {
        self.outcome = outcome;
        self.worker = Worker::Told;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.pending.forget(self.request_id);
        self.metrics.query_ended(self.kind.label(), self.outcome);
        if self.worker == Worker::Told {
            return;
        }
        // Outside the runtime the process is ending; the query's deadline then stops the worker.
        let Ok(runtime) = Handle::try_current() else { return };
        let request_id = self.request_id;
        let log = Arc::clone(&self.log);
        let event = QueryEvent::Cancel { request_id };
        let record = query_record(request_id, trace_parent_of(request_id), event);
        let cancellation = async move {
            if let Err(error) = log.append(vec![record]).await {
                tracing::warn!(%request_id, %error, "a cancellation could not be published; its deadline will do");
            }
        };
        self.cancellations.spawn_on(cancellation, &runtime);
    }
}

/// The record that tells workers of a query, keyed by the query.
pub(super) fn query_record(request_id: RequestId, trace_parent: String, event: QueryEvent) -> NewRecord {
    let mut attributes = Attributes::new::<QueryEvent>(Service::Gateway.name(), request_id.to_string());
    attributes.trace_parent = Some(trace_parent);
    NewEvent::new(request_id.to_string(), attributes, &event).into_record()
}

/// A trace of its own for a query that comes without one (W3C Trace Context, version 00, sampled): the request id is
/// the trace id and its random half the span id.
pub(super) fn trace_parent_of(request_id: RequestId) -> String {
    let id = request_id.0.as_simple().to_string();
    format!("00-{id}-{}-01", &id[16..])
}
