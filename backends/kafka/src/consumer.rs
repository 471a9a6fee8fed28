//! Consumers and tails: a thread that polls, and a channel to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers as _, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tracing::{error, warn};

use crate::error::failed;
use crate::{KafkaOptions, base_config};
use twin_stream::Error;
use twin_stream::{Consumer, Delivery, Position, Record, RevokeAck, Tail, TopicPartition};

/// How long a poll waits; also how fast a closed consumer ends.
const POLL: Duration = Duration::from_millis(100);

/// How long a commit is tried while the group deals its partitions anew, and the pause between two tries. Far less than a
/// consumer may take to let go of a partition (`revoke_timeout_ms`).
const DEALING: Duration = Duration::from_secs(5);
const DEALING_PAUSE: Duration = Duration::from_millis(20);

/// Records and bytes handed over together, at most.
const BATCH_RECORDS: usize = 500;
const BATCH_BYTES: usize = 4 << 20;

/// Deliveries that wait for the runtime. Full: the thread waits, and librdkafka's own queue fills up.
const CHANNEL: usize = 4;

type Poller = BaseConsumer<Context>;

/// Called by librdkafka on the polling thread.
struct Context {
    deliveries: mpsc::Sender<Result<Delivery, Error>>,
    revoke_timeout: Duration,
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        // librdkafka reconnects by itself: this is for people who wonder why nothing moves.
        warn!(%error, reason, "kafka client");
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &Poller, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(list) = rebalance else { return };
        let partitions = partitions_of(list);
        if partitions.is_empty() {
            return;
        }
        let (ack, acknowledged) = RevokeAck::pair();
        let delivery = if consumer.assignment_lost() { Delivery::Lost } else { Delivery::Revoked };
        if self.deliveries.blocking_send(Ok(delivery(partitions, ack))).is_err() {
            // The consumer is being closed: nothing is in flight any more.
            return;
        }
        // The sender is dropped when the partitions have been let go of.
        if let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = acknowledged.recv_timeout(self.revoke_timeout) {
            warn!("revoked partitions were not let go of in time; the group goes on");
        }
    }

    fn post_rebalance(&self, consumer: &Poller, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = partitions_of(list);
                if partitions.is_empty() {
                    return;
                }
                // librdkafka keeps a pause over the loss of a partition: it would come back and never be read again.
                if let Err(error) = consumer.resume(list) {
                    warn!(%error, "assigned partitions could not be resumed");
                }
                let _ = self.deliveries.blocking_send(Ok(Delivery::Assigned(partitions)));
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => warn!(%error, "rebalance failed"),
        }
    }
}

/// `elements` panics on an empty list.
fn partitions_of(list: &TopicPartitionList) -> Vec<TopicPartition> {
    if list.count() == 0 {
        return Vec::new();
    }
    let elements = list.elements();
    let partition = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| TopicPartition {
        topic: element.topic().into(),
        partition: element.partition().unsigned_abs(),
    };
    elements.iter().map(partition).collect()
}

fn list_of<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition.cast_signed());
    }
    list
}

/// The polling thread's handle.
struct Polling {
    poller: Arc<Poller>,
    deliveries: mpsc::Receiver<Result<Delivery, Error>>,
    closed: Arc<AtomicBool>,
}

impl Polling {
    fn start(
        options: &KafkaOptions,
        group: &str,
        begin: impl FnOnce(&Poller) -> Result<(), KafkaError>,
    ) -> Result<Self, Error> {
        let (sender, deliveries) = mpsc::channel(CHANNEL);
        let context =
            Context { deliveries: sender.clone(), revoke_timeout: Duration::from_millis(options.revoke_timeout_ms) };
        let poller: Poller = base_config(options)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("partition.assignment.strategy", options.assignment_strategy.name())
            .set("session.timeout.ms", options.session_timeout_ms.to_string())
            .set("heartbeat.interval.ms", (options.session_timeout_ms / 4).to_string())
            .set("max.poll.interval.ms", "300000")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "500")
            .set("topic.metadata.refresh.interval.ms", "30000")
            .create_with_context(context)
            .map_err(failed)?;
        begin(&poller).map_err(failed)?;
        let poller = Arc::new(poller);
        let closed = Arc::new(AtomicBool::new(false));
        let (thread_poller, thread_closed) = (poller.clone(), closed.clone());
        std::thread::Builder::new()
            .name(format!("kafka-{group}"))
            .spawn(move || poll_until_closed(&thread_poller, &thread_closed, &sender))
            .map_err(Error::Thread)?;
        Ok(Self { poller, deliveries, closed })
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
        self.deliveries.close();
    }
}

/// Polls, hands over what comes, and leaves the group at the end (the last owner of the client closes it).
fn poll_until_closed(poller: &Poller, closed: &AtomicBool, deliveries: &mpsc::Sender<Result<Delivery, Error>>) {
    while !closed.load(Ordering::Acquire) {
        let (records, problem) = match poller.poll(POLL) {
            None => continue,
            Some(Ok(message)) => gather(poller, record(&message)),
            Some(Err(error)) => (Vec::new(), Some(failed(error))),
        };
        let records = (!records.is_empty()).then_some(Ok(Delivery::Records(records)));
        let problem = problem.filter(|problem| {
            if problem.is_transient() {
                // The client mends it by itself.
                warn!(error = %problem, "kafka consumer");
            }
            !problem.is_transient()
        });
        for delivery in records.into_iter().chain(problem.map(Err)) {
            if deliveries.blocking_send(delivery).is_err() {
                return;
            }
        }
    }
}

/// What has come already, with the first, and the error that came after it.
fn gather(poller: &Poller, first: Record) -> (Vec<Record>, Option<Error>) {
    let mut bytes = first.size();
    let mut records = vec![first];
    while records.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
        match poller.poll(Duration::ZERO) {
            Some(Ok(message)) => {
                let record = record(&message);
                bytes += record.size();
                records.push(record);
            }
            Some(Err(error)) => return (records, Some(failed(error))),
            None => break,
        }
    }
    (records, None)
}

pub(crate) fn record(message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().map(|headers| {
        headers.iter().map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
    });
    Record {
        position: Position {
            partition: TopicPartition { topic: message.topic().into(), partition: message.partition().unsigned_abs() },
            offset: message.offset().unsigned_abs(),
        },
        key: message.key().unwrap_or_default().to_vec(),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
    }
}

/// A member of a consumer group.
pub(crate) struct KafkaConsumer {
    polling: Polling,
}

impl KafkaConsumer {
    pub(crate) fn start(options: &KafkaOptions, group: &str, topics: &[&str]) -> Result<Self, Error> {
        let polling = Polling::start(options, group, |poller| poller.subscribe(topics))?;
        Ok(Self { polling })
    }

    async fn blocking(
        &self,
        call: impl FnOnce(&Poller) -> Result<(), KafkaError> + Send + 'static,
    ) -> Result<(), Error> {
        let poller = self.polling.poller.clone();
        crate::blocking(move || call(&poller)).await
    }
}

#[async_trait]
impl Consumer for KafkaConsumer {
    async fn next(&mut self) -> Result<Delivery, Error> {
        self.polling.deliveries.recv().await.unwrap_or(Err(Error::Closed))
    }

    async fn pause(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        let list = list_of(partitions);
        self.blocking(move |poller| poller.pause(&list)).await
    }

    async fn resume(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        let list = list_of(partitions);
        self.blocking(move |poller| poller.resume(&list)).await
    }

    async fn commit(&self, offsets: &[(TopicPartition, u64)]) -> Result<(), Error> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            let offset = Offset::Offset(offset.cast_signed());
            list.add_partition_offset(&partition.topic, partition.partition.cast_signed(), offset).map_err(failed)?;
        }
        self.blocking(move |poller| commit(poller, &list)).await
    }

    async fn close(self: Box<Self>) {
        let poller = self.polling.poller.clone();
        drop(self);
        // Closing waits for the group coordinator; one that is not there must not keep the process.
        let started = Instant::now();
        let closing = tokio::task::spawn_blocking(move || {
            // The polling thread lets go of the client within one poll, and the last to let go closes it.
            while Arc::strong_count(&poller) > 1 && started.elapsed() < 4 * POLL {
                std::thread::sleep(Duration::from_millis(5));
            }
            drop(poller);
        });
        if tokio::time::timeout(Duration::from_secs(10), closing).await.is_err() {
            error!("leaving the consumer group took too long; the group will notice by its session timeout");
        }
    }
}

/// Commits, as soon as the group takes commits. While it deals its partitions anew it takes none: one that waited behind this
/// consumer's own request to join carries the number of the generation before, and until the leader has dealt the answer is
/// that it has not. What is committed stays this consumer's until it lets go of it, so afterwards it is as right as before.
fn commit(poller: &Poller, list: &TopicPartitionList) -> Result<(), KafkaError> {
    let give_up_at = Instant::now() + DEALING;
    loop {
        match poller.commit(list, CommitMode::Sync) {
            Err(error) if is_of_dealing(&error) && Instant::now() < give_up_at => std::thread::sleep(DEALING_PAUSE),
            done => return done,
        }
    }
}

fn is_of_dealing(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(Code::RebalanceInProgress | Code::IllegalGeneration))
}

/// A reader of one partition, outside any group.
pub(crate) struct KafkaTail {
    polling: Polling,
}

impl KafkaTail {
    pub(crate) fn start(options: &KafkaOptions, partition: &TopicPartition, offset: u64) -> Result<Self, Error> {
        let mut list = TopicPartitionList::new();
        let start = Offset::Offset(offset.cast_signed());
        list.add_partition_offset(&partition.topic, partition.partition.cast_signed(), start).map_err(failed)?;
        // The group id is required by the client and never joined: partitions are assigned by hand.
        let polling = Polling::start(options, "twin.tail", |poller| poller.assign(&list))?;
        Ok(Self { polling })
    }
}

#[async_trait]
impl Tail for KafkaTail {
    async fn next(&mut self) -> Result<Vec<Record>, Error> {
        loop {
            match self.polling.deliveries.recv().await.unwrap_or(Err(Error::Closed))? {
                Delivery::Records(records) => return Ok(records),
                Delivery::Assigned(_) | Delivery::Revoked(..) | Delivery::Lost(..) => {}
            }
        }
    }
}
