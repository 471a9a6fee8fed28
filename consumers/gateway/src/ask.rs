//! Asking the twin: publish the query, take the parts of its answer, and tell the workers when nobody waits any more.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use twin_schemas::{
    AnswerEvent, AnswerPart, Attributes, AuthorId, ChatMessage, EmbedQuery, Embedded, EmbeddingInput, FailureKind,
    GatewayId, Passage, Query, QueryEvent, QueryFilter, QueryKind, RequestId, ResponseFormat, Sampling,
    SentenceSupport, Service, StageTimings, Writing, WrittenText,
};
use twin_stream::{EventLog, NewEvent, NewRecord};

use crate::Options;
use crate::answers::PendingAnswers;
use crate::attempts::Attempts;
use crate::metrics::Metrics;

/// What is asked. The author comes from a field of the request, never from text in it.
pub struct Question {
    pub permit: Permit,
    pub author: AuthorId,
    pub kind: QueryKind,
    pub messages: Vec<ChatMessage>,
    pub k: u32,
    pub filter: QueryFilter,
    pub sampling: Sampling,
    pub format: ResponseFormat,
    /// What is to be written, where a text is wanted.
    pub writing: Option<Writing>,
    /// W3C trace context of the client, where it sent one.
    pub trace_parent: Option<String>,
}

/// Texts to be embedded.
pub struct EmbeddingQuestion {
    pub permit: Permit,
    pub texts: Vec<String>,
    pub input: EmbeddingInput,
    pub model: Option<String>,
    pub dimensions: Option<u32>,
    /// W3C trace context of the client, where it sent one.
    pub trace_parent: Option<String>,
}

/// What is asked for, as metrics tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Retrieve,
    Answer,
    Write,
    Embed,
}

impl Kind {
    fn label(self) -> &'static str {
        match self {
            Self::Retrieve => "retrieve",
            Self::Answer => "answer",
            Self::Write => "write",
            Self::Embed => "embed",
        }
    }
}

impl From<QueryKind> for Kind {
    fn from(kind: QueryKind) -> Self {
        match kind {
            QueryKind::Retrieve => Self::Retrieve,
            QueryKind::Answer => Self::Answer,
            QueryKind::Write => Self::Write,
        }
    }
}

/// Which query, whom to answer, and until when.
struct Asked {
    request_id: RequestId,
    reply_to: GatewayId,
    deadline: DateTime<Utc>,
}

/// Leave to have one more query in flight, given back when it is dropped.
pub struct Permit {
    _permit: OwnedSemaphorePermit,
}

/// Why there is no answer. The text is for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Too much to do.
    Overloaded { message: String, retry_after_s: u64 },
    /// It did not come in time.
    Expired(String),
    /// Something that it needs failed.
    Unavailable(String),
    /// It can not be served as it is.
    Invalid(String),
    /// It does not fit into the log.
    TooLarge(String),
}

impl Failure {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Overloaded { .. } => "overloaded",
            Self::Expired(_) => "expired",
            Self::Unavailable(_) => "unavailable",
            Self::Invalid(_) | Self::TooLarge(_) => "invalid",
        }
    }
}

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
        let Question { permit, author, kind, messages, k, filter, sampling, format, writing, trace_parent } = question;
        let event = |Asked { request_id, reply_to, deadline }| {
            QueryEvent::Ask(Box::new(Query {
                request_id,
                reply_to,
                author,
                kind,
                messages,
                k,
                filter,
                sampling,
                format,
                writing,
                deadline,
            }))
        };
        self.send(kind.into(), permit, trace_parent, event).await
    }

    /// The same for texts to be embedded.
    pub async fn embed(&self, question: EmbeddingQuestion) -> Result<PendingAnswer, Failure> {
        let EmbeddingQuestion { permit, texts, input, model, dimensions, trace_parent } = question;
        let event = |Asked { request_id, reply_to, deadline }| {
            QueryEvent::Embed(Box::new(EmbedQuery { request_id, reply_to, texts, input, model, dimensions, deadline }))
        };
        self.send(Kind::Embed, permit, trace_parent, event).await
    }

    async fn send(
        &self,
        kind: Kind,
        permit: Permit,
        trace_parent: Option<String>,
        event: impl FnOnce(Asked) -> QueryEvent,
    ) -> Result<PendingAnswer, Failure> {
        let request_id = RequestId::new();
        let started = Instant::now();
        let trace_parent = trace_parent.unwrap_or_else(|| trace_parent_of(request_id));
        let timeout = TimeDelta::from_std(self.timeout).unwrap_or(TimeDelta::MAX);
        let deadline = Utc::now().checked_add_signed(timeout).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let asked = Asked { request_id, reply_to: self.pending.gateway(), deadline };
        let record = query_record(request_id, trace_parent, event(asked));
        let events = self.pending.expect(request_id);
        let mut in_flight = self.in_flight(request_id, kind, permit);
        // It is in flight before the append: a client that goes during it leaves a cancellation behind the query.
        if let Err((failure, worker)) = self.publish(request_id, record).await {
            return Err(in_flight.failed(failure, worker));
        }
        let cut = self.cut.clone();
        let deadline = started + self.timeout;
        Ok(PendingAnswer { events, attempts: Attempts::default(), in_flight, started, deadline, cut, text_sent: false })
    }

    /// Appends the query to the log. After a failure it may be there all the same, unless it is too large.
    async fn publish(&self, request_id: RequestId, record: NewRecord) -> Result<(), (Failure, Worker)> {
        let appended = tokio::select! {
            appended = tokio::time::timeout(self.publish_timeout, self.log.append(vec![record])) => appended,
            () = self.cut.cancelled() => return Err((shutting_down(), Worker::AtWork)),
        };
        match appended {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(twin_stream::Error::TooLarge { .. })) => {
                Err((Failure::TooLarge("the request is too large for the event log".to_owned()), Worker::Told))
            }
            Ok(Err(error)) => {
                tracing::error!(%request_id, %error, "a query could not be published");
                let why = if error.is_of_the_disk() { ": the disk is full or failing" } else { "" };
                Err((Failure::Unavailable(format!("the query could not be published{why}")), Worker::AtWork))
            }
            Err(_) => {
                tracing::error!(%request_id, timeout = ?self.publish_timeout, "the log does not take a query");
                let message = "the event log does not answer; try again later".to_owned();
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
            return Err(Failure::Unavailable("the gateway can not read answers yet".to_owned()));
        }
        let permit = Arc::clone(&self.free).try_acquire_owned().map_err(|_| Failure::Overloaded {
            message: "as many queries as this gateway allows are being worked on".to_owned(),
            retry_after_s: self.retry_after_s,
        })?;
        Ok(Permit { _permit: permit })
    }

    fn in_flight(&self, request_id: RequestId, kind: Kind, permit: Permit) -> InFlight {
        self.metrics.query_began();
        InFlight {
            request_id,
            kind,
            outcome: "cancelled",
            worker: Worker::AtWork,
            log: Arc::clone(&self.log),
            pending: Arc::clone(&self.pending),
            metrics: self.metrics.clone(),
            cancellations: self.cancellations.clone(),
            retry_after_s: self.retry_after_s,
            _permit: permit,
        }
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

/// A part of an answer.
pub enum Part {
    /// What was found.
    Retrieved(Vec<Passage>, StageTimings),
    /// More text.
    Delta(String),
    /// What was found of a sentence of it.
    Support(SentenceSupport),
    /// The end. Of an answer there is nothing in it but that.
    Finished(Box<WrittenText>),
    /// Vectors, from that text on.
    Vectors(u32, Vec<Vec<f32>>),
    /// The end of an embedding.
    Embedded(Embedded),
}

/// An answer that is being waited for.
pub struct PendingAnswer {
    events: mpsc::Receiver<AnswerEvent>,
    attempts: Attempts,
    in_flight: InFlight,
    started: Instant,
    deadline: Instant,
    cut: CancellationToken,
    text_sent: bool,
}

impl PendingAnswer {
    /// The id that the query has in the log.
    pub fn request_id(&self) -> RequestId {
        self.in_flight.request_id
    }

    /// Milliseconds since the request came.
    pub fn elapsed_ms(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1_000.0
    }

    /// Text has gone to the client: from here on no other attempt can take this one's place.
    pub fn text_was_sent(&mut self) {
        self.text_sent = true;
    }

    /// The answer is complete with the part taken last.
    pub fn complete(&mut self, outcome: &'static str) {
        self.in_flight.outcome = outcome;
        self.in_flight.worker = Worker::Told;
    }

    /// The next part, of one attempt and in order; a failure ends the answer.
    pub async fn next(&mut self) -> Result<Part, Failure> {
        loop {
            if let Some(part) = self.attempts.take(Instant::now(), self.text_sent) {
                return match part {
                    AnswerPart::Retrieved { passages, timings } => Ok(Part::Retrieved(passages, timings)),
                    AnswerPart::Delta { text } => Ok(Part::Delta(text)),
                    AnswerPart::Support(sentence) => Ok(Part::Support(*sentence)),
                    AnswerPart::Finished(answered) => Ok(Part::Finished(Box::new((*answered).into()))),
                    AnswerPart::Written(written) => Ok(Part::Finished(written)),
                    AnswerPart::Vectors { first, vectors } => Ok(Part::Vectors(first, vectors)),
                    AnswerPart::Embedded(embedded) => Ok(Part::Embedded(embedded)),
                    AnswerPart::Failed { kind, message } => {
                        let failure = self.in_flight.failure(kind, message);
                        Err(self.in_flight.failed(failure, Worker::Told))
                    }
                };
            }
            let rebind_at = self.attempts.rebind_at(self.text_sent).unwrap_or(self.deadline);
            let wake_at = rebind_at.min(self.deadline);
            tokio::select! {
                event = self.events.recv() => self.keep(event)?,
                () = tokio::time::sleep_until(wake_at) => {
                    if Instant::now() >= self.deadline {
                        let failure = Failure::Expired("the twin did not answer in time".to_owned());
                        return Err(self.in_flight.failed(failure, Worker::AtWork));
                    }
                }
                () = self.cut.cancelled() => return Err(self.in_flight.failed(shutting_down(), Worker::AtWork)),
            }
        }
    }

    fn keep(&mut self, event: Option<AnswerEvent>) -> Result<(), Failure> {
        let problem = match event {
            Some(event) => match self.attempts.offer(event, Instant::now()) {
                Ok(()) => return Ok(()),
                Err(_missing) => "a part of the answer was lost; ask again",
            },
            None => "the answer was read too slowly",
        };
        Err(self.in_flight.failed(Failure::Unavailable(problem.to_owned()), Worker::AtWork))
    }
}

/// Whether a worker still has to be told that nobody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worker {
    AtWork,
    Told,
}

/// A query in flight. Dropped before the answer is complete (the client has gone, the deadline
/// passed), it tells the workers to stop.
struct InFlight {
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
    fn failed(&mut self, failure: Failure, worker: Worker) -> Failure {
        self.outcome = failure.outcome();
        self.worker = worker;
        failure
    }

    fn failure(&self, kind: FailureKind, message: String) -> Failure {
        match kind {
            FailureKind::Overloaded => Failure::Overloaded { message, retry_after_s: self.retry_after_s },
            FailureKind::Expired => Failure::Expired(message),
            FailureKind::Unavailable => Failure::Unavailable(message),
            FailureKind::Invalid => Failure::Invalid(message),
        }
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

fn query_record(request_id: RequestId, trace_parent: String, event: QueryEvent) -> NewRecord {
    let mut attributes = Attributes::new::<QueryEvent>(Service::Gateway.name(), request_id.to_string());
    attributes.trace_parent = Some(trace_parent);
    NewEvent::new(request_id.to_string(), attributes, &event).into_record()
}

/// A trace of its own for a query that comes without one (W3C Trace Context, version 00, sampled): the request id is
/// the trace id and its random half the span id.
fn trace_parent_of(request_id: RequestId) -> String {
    let id = request_id.0.as_simple().to_string();
    format!("00-{id}-{}-01", &id[16..])
}

fn shutting_down() -> Failure {
    Failure::Unavailable("the gateway is shutting down".to_owned())
}
