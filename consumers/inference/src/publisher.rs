use std::sync::Arc;

use twin_schemas::{AnswerEvent, AnswerPart, Attributes, Query, RequestId};
use twin_stream::{Error, EventLog, NewEvent};

/// Publishes the parts of one execution of a query, in order.
pub(crate) struct Publisher {
    log: Arc<dyn EventLog>,
    query: Query,
    cause: Attributes,
    attempt: RequestId,
    sequence: u32,
}

impl Publisher {
    pub(crate) fn new(log: Arc<dyn EventLog>, query: Query, cause: Attributes) -> Self {
        Self { log, query, cause, attempt: RequestId::new(), sequence: 0 }
    }

    /// Returns once the log has acknowledged the part.
    pub(crate) async fn publish(&mut self, part: AnswerPart) -> Result<(), Error> {
        let event = AnswerEvent {
            request_id: self.query.request_id,
            reply_to: self.query.reply_to,
            attempt: self.attempt,
            sequence: self.sequence,
            part,
        };
        let attributes = Attributes::new::<AnswerEvent>("inference", self.query.request_id.to_string());
        let record = NewEvent::new(self.query.reply_to.to_string(), attributes, &event).caused_by(&self.cause);
        self.log.append(vec![record.into_record()]).await?;
        self.sequence += 1;
        Ok(())
    }
}
