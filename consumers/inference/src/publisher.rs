use std::sync::Arc;

use twin_schemas::{AnswerEvent, AnswerPart, Attributes, GatewayId, RequestId, Service};
use twin_stream::{Error, EventLog, NewEvent, NewRecord};

/// Publishes the parts of one execution of a query, in order.
pub(crate) struct Publisher {
    log: Arc<dyn EventLog>,
    request_id: RequestId,
    reply_to: GatewayId,
    cause: Attributes,
    attempt: RequestId,
    sequence: u32,
    /// What was searched for the query, once that is known.
    searched: Option<String>,
}

impl Publisher {
    /// For the query `request_id` of the gateway `reply_to`, which is in the event `cause`.
    pub(crate) fn new(log: Arc<dyn EventLog>, request_id: RequestId, reply_to: GatewayId, cause: Attributes) -> Self {
        Self { log, request_id, reply_to, cause, attempt: RequestId::new(), sequence: 0, searched: None }
    }

    /// Notes the question that is searched.
    pub(crate) fn searches(&mut self, question: &str) {
        self.searched = Some(question.to_owned());
    }

    /// The question that was searched, to be told at the end; none if nothing was.
    pub(crate) fn searched_question(&self) -> Option<String> {
        self.searched.clone()
    }

    /// Returns once the log has acknowledged the part.
    pub(crate) async fn publish(&mut self, part: AnswerPart) -> Result<(), Error> {
        self.publish_all([part]).await
    }

    /// Returns once the log has acknowledged the parts, which costs no more time than one.
    pub(crate) async fn publish_all(&mut self, parts: impl IntoIterator<Item = AnswerPart>) -> Result<(), Error> {
        let mut sequence = self.sequence;
        let mut records = Vec::new();
        for part in parts {
            records.push(self.record(sequence, part));
            sequence += 1;
        }
        self.log.append(records).await?;
        self.sequence = sequence;
        Ok(())
    }

    fn record(&self, sequence: u32, part: AnswerPart) -> NewRecord {
        let Self { request_id, reply_to, .. } = *self;
        let event = AnswerEvent { request_id, reply_to, attempt: self.attempt, sequence, part };
        let attributes = Attributes::new::<AnswerEvent>(Service::Inference.name(), request_id.to_string());
        NewEvent::new(reply_to.to_string(), attributes, &event).caused_by(&self.cause).into_record()
    }
}
