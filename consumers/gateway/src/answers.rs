//! Answers that are waited for, and the reader of the answers topic.
//!
//! Answers are keyed by gateway, so all of this gateway's are in one partition. It is read without a consumer group
//! from where it ended at the start; after a failure reading goes on at the next offset, so that no part is lost.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::mpsc;
use twin_schemas::{AnswerEvent, Attributes, GatewayId, Payload, RequestId};
use twin_stream::{EventLog, Record, StartAt, TopicPartition, partition_for};
use twin_telemetry::Readiness;
use uuid::Uuid;

use crate::metrics::Metrics;

/// Parts kept for one waiter. A model generates some hundred parts a minute: a client that is so far behind has
/// stopped reading, and must not hold up the reader that all share.
const PARTS_KEPT: usize = 4_096;

const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
const BACK_OFF_LAST: Duration = Duration::from_secs(10);

/// The answers that are waited for, by request.
pub struct PendingAnswers {
    gateway: GatewayId,
    waiting: Mutex<HashMap<RequestId, mpsc::Sender<AnswerEvent>>>,
    reading: AtomicBool,
    metrics: Metrics,
}

impl PendingAnswers {
    pub fn new(metrics: Metrics) -> Self {
        Self {
            gateway: GatewayId(Uuid::new_v4()),
            waiting: Mutex::new(HashMap::new()),
            reading: AtomicBool::new(false),
            metrics,
        }
    }

    /// The id that answers are keyed by.
    pub fn gateway(&self) -> GatewayId {
        self.gateway
    }

    /// Whether answers have been read at all: before that, the answer to a query could pass unseen.
    pub fn is_reading(&self) -> bool {
        self.reading.load(Ordering::Acquire)
    }

    /// Waits for the parts of an answer, from now on.
    pub fn expect(&self, request: RequestId) -> mpsc::Receiver<AnswerEvent> {
        let (sender, receiver) = mpsc::channel(PARTS_KEPT);
        self.waiting().insert(request, sender);
        receiver
    }

    /// Waits no longer.
    pub fn forget(&self, request: RequestId) {
        self.waiting().remove(&request);
    }

    fn deliver(&self, event: AnswerEvent) {
        if event.reply_to != self.gateway {
            return;
        }
        let mut waiting = self.waiting();
        let request = event.request_id;
        let Some(sender) = waiting.get(&request) else {
            self.metrics.answer_dropped("nobody_waits");
            return;
        };
        if sender.try_send(event).is_err() {
            // The waiter sees the end of its channel.
            waiting.remove(&request);
            self.metrics.answer_dropped("slow_client");
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<RequestId, mpsc::Sender<AnswerEvent>>> {
        // Every change under the lock is one insertion or removal: a panic leaves nothing half done.
        self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Delivers a record that is for this gateway; other gateways' records share the partition.
    fn deliver_record(&self, record: &Record) {
        if record.key != self.gateway.to_string().as_bytes() {
            return;
        }
        let event = Attributes::from_headers(&record.headers)
            .and_then(|attributes| attributes.decode::<AnswerEvent>(record.value.as_deref().unwrap_or_default()));
        match event {
            Ok(event) => self.deliver(event),
            Err(error) => {
                self.metrics.answer_dropped("decode");
                tracing::warn!(position = %record.position, %error, "an answer can not be read");
            }
        }
    }
}

/// Reads answers until it is dropped; reconnects with back-off and says whether it is connected.
pub async fn follow(pending: Arc<PendingAnswers>, log: Arc<dyn EventLog>, readiness: Readiness) -> Infallible {
    let mut next_offset = None;
    let mut back_off = BACK_OFF_FIRST;
    loop {
        let offset_before = next_offset;
        let error = match read(&pending, log.as_ref(), &readiness, &mut next_offset).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        if next_offset != offset_before {
            back_off = BACK_OFF_FIRST;
        }
        readiness.not_ready(format!("answers can not be read: {error}"));
        tracing::warn!(%error, retry_in_ms = back_off.as_millis() as u64, "reading answers failed");
        tokio::time::sleep(back_off).await;
        back_off = (back_off * 2).min(BACK_OFF_LAST);
    }
}

async fn read(
    pending: &PendingAnswers,
    log: &dyn EventLog,
    readiness: &Readiness,
    next_offset: &mut Option<u64>,
) -> Result<Infallible, twin_stream::Error> {
    let topic = AnswerEvent::TOPIC.name();
    let watermarks = log.watermarks(topic).await?;
    let partitions = watermarks.len() as u32;
    if partitions == 0 {
        return Err(twin_stream::Error::NoTopic(topic.to_owned()));
    }
    let partition = partition_for(pending.gateway.to_string().as_bytes(), partitions);
    // An explicit offset where `StartAt::End` would do: the end is then known before the first query is let in,
    // whenever the log gets round to looking it up.
    let end = watermarks.get(&partition).map_or(0, |watermarks| watermarks.end);
    // An offset past the end is of a topic that was made anew.
    let start = next_offset.filter(|next| *next <= end).unwrap_or(end);
    *next_offset = Some(start);
    let mut tail = log.tail(&TopicPartition { topic: topic.into(), partition }, StartAt::Offset(start)).await?;
    pending.reading.store(true, Ordering::Release);
    readiness.ready();
    loop {
        for record in tail.next().await? {
            *next_offset = Some(record.position.offset + 1);
            pending.deliver_record(&record);
        }
    }
}

#[cfg(test)]
mod tests {
    use twin_schemas::AnswerPart;
    use twin_telemetry::MetricsRegistry;

    use super::*;

    fn pending() -> PendingAnswers {
        PendingAnswers::new(Metrics::register(&MetricsRegistry::new()).unwrap())
    }

    fn event(reply_to: GatewayId, request_id: RequestId, sequence: u32) -> AnswerEvent {
        let part = AnswerPart::Delta { text: sequence.to_string() };
        AnswerEvent { request_id, reply_to, attempt: request_id, sequence, part }
    }

    #[test]
    fn a_part_reaches_the_one_who_waits_for_it_and_nobody_else() {
        let pending = pending();
        let (mine, other) = (RequestId::new(), RequestId::new());
        let mut my_parts = pending.expect(mine);
        let mut other_parts = pending.expect(other);
        pending.deliver(event(pending.gateway(), mine, 0));
        assert_eq!(my_parts.try_recv().unwrap().request_id, mine);
        assert!(other_parts.try_recv().is_err());
    }

    #[test]
    fn a_part_for_another_gateway_is_ignored() {
        let pending = pending();
        let request = RequestId::new();
        let mut parts = pending.expect(request);
        pending.deliver(event(GatewayId(Uuid::from_u128(7)), request, 0));
        assert!(parts.try_recv().is_err());
    }

    #[test]
    fn a_waiter_that_does_not_read_is_dropped_and_the_others_are_served() {
        let pending = pending();
        let (slow, other) = (RequestId::new(), RequestId::new());
        let mut slow_parts = pending.expect(slow);
        let mut other_parts = pending.expect(other);
        for sequence in 0..=PARTS_KEPT as u32 {
            pending.deliver(event(pending.gateway(), slow, sequence));
        }
        pending.deliver(event(pending.gateway(), other, 0));
        assert!(other_parts.try_recv().is_ok());
        let mut kept = 0;
        while slow_parts.try_recv().is_ok() {
            kept += 1;
        }
        assert_eq!(kept, PARTS_KEPT);
        assert!(slow_parts.is_closed());
    }
}
