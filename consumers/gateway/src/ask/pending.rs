//! An answer on its way: its parts, of one attempt and in their order.

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use twin_schemas::{AnswerEvent, AnswerPart, Embedded, Passage, RequestId, SentenceSupport, StageTimings, WrittenText};

use super::failure::{Failure, shutting_down};
use super::in_flight::{InFlight, Worker};
use crate::attempts::Attempts;

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
    /// Of a query that was sent at `started`, whose parts come as `events`. It ends at `deadline`, or when everything is
    /// cut.
    pub(super) fn new(
        events: mpsc::Receiver<AnswerEvent>,
        in_flight: InFlight,
        started: Instant,
        deadline: Instant,
        cut: CancellationToken,
    ) -> Self {
        Self { events, attempts: Attempts::default(), in_flight, started, deadline, cut, text_sent: false }
    }

    /// The id that the query has in the log.
    pub fn request_id(&self) -> RequestId {
        self.in_flight.request_id()
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
        self.in_flight.complete(outcome);
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
                    AnswerPart::Failed { kind, message } => Err(self.in_flight.failed_at_work(kind, message)),
                };
            }
            let rebind_at = self.attempts.rebind_at(self.text_sent).unwrap_or(self.deadline);
            let wake_at = rebind_at.min(self.deadline);
            tokio::select! {
                event = self.events.recv() => self.keep(event)?,
                () = tokio::time::sleep_until(wake_at) => {
                    if Instant::now() >= self.deadline {
                        let failure = Failure::Expired("the twin did not answer within gateway.request_timeout_ms".to_owned());
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
            None => "the answer was read too slowly; ask again, and read it as it comes",
        };
        Err(self.in_flight.failed(Failure::Unavailable(problem.to_owned()), Worker::AtWork))
    }
}
