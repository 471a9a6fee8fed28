//! Asking the twin: publish the query, take the parts of its answer, and tell the workers when nobody waits any more.

mod failure;
mod in_flight;
mod pending;
mod question;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use twin_schemas::{QueryEvent, RequestId};
use twin_stream::{EventLog, NewRecord};

use crate::Options;
use crate::answers::PendingAnswers;
use crate::metrics::Metrics;

pub use failure::Failure;
pub use in_flight::Permit;
pub use pending::{Part, PendingAnswer};
pub use question::{EmbeddingQuestion, Kind, Question};

use failure::shutting_down;
use in_flight::{InFlight, Worker, query_record, trace_parent_of};
use question::{Asked, Unsent};

/// Asks questions; one for the whole gateway.
pub struct Asker {
    log: Arc<dyn EventLog>,
    pending: Arc<PendingAnswers>,
    metrics: Metrics,
    free: Arc<Semaphore>,
    timeout: Duration,
    publish_timeout: Duration,
    retry_after_s: u64,
    /// Cancellations on their way to the log.
    cancellations: TaskTracker,
    /// Ends every answer that is still waited for.
    cut: CancellationToken,
}

impl Asker {
    pub fn new(options: &Options, log: Arc<dyn EventLog>, pending: Arc<PendingAnswers>, metrics: Metrics) -> Self {
        Self {
            log,
            pending,
            metrics,
            // `Options::validate` keeps it far below the semaphore's limit.
            free: Arc::new(Semaphore::new(options.max_in_flight as usize)),
            timeout: Duration::from_millis(options.request_timeout_ms),
            publish_timeout: Duration::from_millis(options.publish_timeout_ms.min(options.request_timeout_ms)),
            retry_after_s: options.retry_after_s,
            cancellations: TaskTracker::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Publishes the query. Dropping what is returned, or the call itself, cancels it.
    pub async fn ask(&self, question: Question) -> Result<PendingAnswer, Failure> {
        self.send(question.unsent()).await
    }

    /// The same for texts to be embedded.
    pub async fn embed(&self, question: EmbeddingQuestion) -> Result<PendingAnswer, Failure> {
        self.send(question.unsent()).await
    }

    async fn send(&self, unsent: Unsent<impl FnOnce(Asked) -> QueryEvent>) -> Result<PendingAnswer, Failure> {
        let Unsent { kind, permit, trace_parent, event } = unsent;
        let request_id = RequestId::new();
        let started = Instant::now();
        let trace_parent = trace_parent.unwrap_or_else(|| trace_parent_of(request_id));
        let timeout = TimeDelta::from_std(self.timeout).unwrap_or(TimeDelta::MAX);
        let deadline = Utc::now().checked_add_signed(timeout).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let asked = Asked { request_id, reply_to: self.pending.gateway(), deadline };
        let record = query_record(request_id, trace_parent, event(asked));
        let events = self.pending.expect(request_id);
        let mut in_flight = InFlight::new(self, request_id, kind, permit);
        // It is in flight before the append: a client that goes during it leaves a cancellation behind the query.
        if let Err((failure, worker)) = self.publish(request_id, record).await {
            return Err(in_flight.failed(failure, worker));
        }
        Ok(PendingAnswer::new(events, in_flight, started, started + self.timeout, self.cut.clone()))
    }

    /// Appends the query to the log. After a failure it may be there all the same, unless it is too large.
    async fn publish(&self, request_id: RequestId, record: NewRecord) -> Result<(), (Failure, Worker)> {
        let appended = tokio::select! {
            appended = tokio::time::timeout(self.publish_timeout, self.log.append(vec![record])) => appended,
            () = self.cut.cancelled() => return Err((shutting_down(), Worker::AtWork)),
        };
        match appended {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(twin_stream::Error::TooLarge { .. })) => Err((
                Failure::TooLarge("the request is too large for the event log; ask with less text".to_owned()),
                Worker::Told,
            )),
            Ok(Err(error)) => {
                tracing::error!(%request_id, %error, "a query could not be published");
                let why = if error.is_of_the_disk() { ": the disk is full or failing" } else { "" };
                Err((
                    Failure::Unavailable(format!("the query could not be published{why}; ask again later")),
                    Worker::AtWork,
                ))
            }
            Err(_) => {
                tracing::error!(%request_id, timeout = ?self.publish_timeout, "the log does not take a query");
                let message = "the event log does not answer; ask again later".to_owned();
                Err((Failure::Unavailable(message), Worker::AtWork))
            }
        }
    }

    /// Lets a query in, or refuses it before anything else is done for it: under a flood, to refuse must cost next to
    /// nothing.
    pub fn admit(&self, kind: Kind) -> Result<Permit, Failure> {
        self.permit().inspect_err(|failure| self.metrics.query_refused(kind.label(), failure.outcome()))
    }

    fn permit(&self) -> Result<Permit, Failure> {
        if self.cut.is_cancelled() {
            return Err(shutting_down());
        }
        if !self.pending.is_reading() {
            return Err(Failure::Unavailable("the gateway can not read answers yet; ask again in a moment".to_owned()));
        }
        let permit = Arc::clone(&self.free).try_acquire_owned().map_err(|_| Failure::Overloaded {
            message: "as many queries as gateway.max_in_flight allows are being worked on; ask again later".to_owned(),
            retry_after_s: self.retry_after_s,
        })?;
        Ok(Permit::new(permit))
    }

    /// Ends every answer that is still waited for, and lets no query in any more.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// Waits until every cancellation so far is in the log.
    pub async fn cancellations_sent(&self) {
        self.cancellations.close();
        self.cancellations.wait().await;
    }
}
