//! The event log on Apache Kafka.
//!
//! The producer is idempotent with `acks=all`; partitions are chosen here (see [`partition_for`]), so that every
//! implementation and language agrees. Each consumer polls on a thread of its own, since librdkafka runs the
//! rebalance callback inside the poll, and there the group waits until the runtime has drained what is taken away.
//! Offsets are committed explicitly and synchronously. A group without offsets starts at the oldest record; nothing
//! ever jumps to the latest.

mod admin;
mod consumer;
mod error;
mod stored;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::BoxStream;
use rdkafka::ClientConfig;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::warn;

use error::failed;
use twin_stream::Error;
use twin_stream::{
    Consumer, EventLog, NewRecord, Position, Record, StartAt, Tail, TopicPartition, TopicSpec, Watermarks,
    partition_for,
};

/// How long a request to the cluster may take before it is an error.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// How long one of the first requests may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a partition may have no leader before that is an error, and between two looks for one.
const LEADER_WAIT: Duration = Duration::from_secs(5);
const LEADER_PAUSE: Duration = Duration::from_millis(200);

/// Settings of the Kafka log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaOptions {
    /// `host:port` of one or more brokers, comma separated.
    pub brokers: String,
    /// Replicas of each topic made; -1 is the cluster's default.
    pub replication: i32,
    /// Largest value appended as it is, bytes; larger ones go to the artifact store. The broker's
    /// `message.max.bytes` must be above it.
    pub max_value_bytes: usize,
    /// Milliseconds that a consumer may take to let go of a partition during a rebalance.
    pub revoke_timeout_ms: u64,
    /// Milliseconds after which the cluster takes a consumer that it does not hear from for dead, and gives its
    /// partitions to others: how long a killed process holds up its share of the work. The broker's
    /// `group.min.session.timeout.ms` is the least.
    pub session_timeout_ms: u64,
    /// How partitions are dealt to the consumers of a stage: `cooperative-sticky` moves only those that have to change
    /// hands, and the others go on meanwhile; `range` and `roundrobin` take all away at each change and deal anew. All
    /// consumers of a stage need the same; to change it, stop all of them first.
    pub assignment_strategy: AssignmentStrategy,
    /// Further librdkafka properties, for all clients: `security.protocol`, `sasl.mechanism`, `ssl.ca.location`, ….
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            brokers: String::new(),
            replication: -1,
            max_value_bytes: 900_000,
            revoke_timeout_ms: 20_000,
            session_timeout_ms: 10_000,
            assignment_strategy: AssignmentStrategy::CooperativeSticky,
            properties: BTreeMap::new(),
        }
    }
}

/// How partitions are dealt to the consumers of a group (Kafka's `partition.assignment.strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AssignmentStrategy {
    /// Only partitions that change hands are taken away (KIP-429).
    CooperativeSticky,
    /// All are taken away, and each consumer gets neighbours.
    Range,
    /// All are taken away and dealt one by one.
    #[serde(rename = "roundrobin")]
    RoundRobin,
}

impl AssignmentStrategy {
    /// Its name to the client, which is that in the configuration.
    fn name(self) -> &'static str {
        match self {
            Self::CooperativeSticky => "cooperative-sticky",
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
        }
    }
}

/// The event log on a Kafka cluster; clones share it.
#[derive(Clone)]
pub struct KafkaLog {
    shared: Arc<Shared>,
}

struct Shared {
    options: KafkaOptions,
    producer: FutureProducer<Connections>,
    partition_counts: Mutex<HashMap<String, u32>>,
}

impl KafkaLog {
    /// Connects to the cluster; an unreachable one is an error.
    pub async fn connect(options: KafkaOptions) -> Result<Self, Error> {
        let connections = Connections::default();
        let producer: FutureProducer<Connections> = base_config(&options)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "zstd")
            // A query is four appends one after the other, and each would wait. Records that are there together, or come
            // while a request is under way, still go together.
            .set("linger.ms", "0")
            .set("message.max.bytes", (options.max_value_bytes + 100_000).to_string())
            .set("delivery.timeout.ms", "60000")
            .create_with_context(connections.clone())
            .map_err(failed)?;
        let probe = producer.clone();
        tokio::task::spawn_blocking(move || reach(&probe, &connections)).await.map_err(|_| Error::Closed)??;
        Ok(Self { shared: Arc::new(Shared { options, producer, partition_counts: Mutex::default() }) })
    }

    /// Partitions of a topic, asked for once.
    async fn partition_count(&self, topic: &str) -> Result<u32, Error> {
        let known = self.partition_counts().get(topic).copied();
        if let Some(count) = known {
            return Ok(count);
        }
        let (producer, name) = (self.shared.producer.clone(), topic.to_owned());
        let count = blocking(move || admin::partition_count(producer.client(), &name)).await?;
        let count = count.ok_or_else(|| Error::NoTopic(topic.to_owned()))?;
        self.partition_counts().insert(topic.to_owned(), count);
        Ok(count)
    }

    fn partition_counts(&self) -> std::sync::MutexGuard<'_, HashMap<String, u32>> {
        self.shared.partition_counts.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn check(&self, record: &NewRecord) -> Result<(), Error> {
        if record.key.is_empty() {
            return Err(Error::NoKey(record.topic.clone()));
        }
        let bytes = record.value.as_ref().map_or(0, Vec::len);
        let limit = self.shared.options.max_value_bytes;
        if bytes > limit {
            return Err(Error::TooLarge { topic: record.topic.clone(), bytes, limit });
        }
        Ok(())
    }

    /// Queues a record. A full queue is back-pressure: the oldest delivery under way is waited for.
    async fn enqueue(
        &self,
        record: &NewRecord,
        partition: u32,
        under_way: &mut VecDeque<DeliveryFuture>,
        delivered: &mut Vec<(u32, u64)>,
    ) -> Result<(), Error> {
        loop {
            let mut message = FutureRecord::<[u8], [u8]>::to(&record.topic)
                .key(&record.key)
                .partition(partition.cast_signed())
                .headers(headers(record));
            message.payload = record.value.as_deref();
            match self.shared.producer.send_result(message) {
                Ok(future) => {
                    under_way.push_back(future);
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => match under_way.pop_front() {
                    Some(oldest) => delivered.push(delivery(oldest).await?),
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                },
                Err((error, _)) => return Err(failed(error)),
            }
        }
    }
}

/// What the producer's client tells of its connections. A log-in that is refused is a time-out to the call that waits for
/// the connection.
#[derive(Clone, Default)]
struct Connections {
    refused: Arc<Mutex<Option<(KafkaError, String)>>>,
}

impl ClientContext for Connections {
    fn error(&self, error: KafkaError, reason: &str) {
        // librdkafka reconnects by itself: this is for people who wonder why nothing moves.
        warn!(%error, reason, "kafka client");
        if error::is_refusal(&error) {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some((error, reason.to_owned()));
        }
    }
}

/// Waits until a broker answers, or it is clear that none will.
fn reach(producer: &FutureProducer<Connections>, connections: &Connections) -> Result<(), Error> {
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    loop {
        let answered = producer.client().fetch_metadata(None, PROBE_TIMEOUT);
        let refused = connections.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (answered, refused) {
            (Ok(_), _) => return Ok(()),
            (Err(_), Some((error, told))) => return Err(error::refused(error, &told)),
            (Err(error), None) if Instant::now() >= deadline => return Err(failed(error)),
            (Err(_), None) => std::thread::sleep(LEADER_PAUSE),
        }
    }
}

async fn delivery(future: DeliveryFuture) -> Result<(u32, u64), Error> {
    match future.await {
        Ok(Ok(delivery)) => Ok((delivery.partition.unsigned_abs(), delivery.offset.unsigned_abs())),
        Ok(Err((error, _))) => Err(failed(error)),
        Err(_) => Err(Error::Closed),
    }
}

fn headers(record: &NewRecord) -> OwnedHeaders {
    record.headers.iter().fold(OwnedHeaders::new_with_capacity(record.headers.len()), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value) })
    })
}

fn base_config(options: &KafkaOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &options.brokers).set("client.id", "twin");
    // Without this, a broker that comes back is found late.
    config.set("reconnect.backoff.max.ms", "2000");
    for (name, value) in &options.properties {
        config.set(name, value);
    }
    config
}

/// Runs a blocking client call off the runtime's threads.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(call).await.map_err(|_| Error::Closed)?.map_err(failed)
}

/// The ends of a partition. A client that does not write to a topic keeps what it once knew of its leaders: after the loss
/// of one it has to be told to look again.
fn ends_of<C: ClientContext>(client: &Client<C>, topic: &str, partition: i32) -> Result<(i64, i64), KafkaError> {
    let deadline = Instant::now() + LEADER_WAIT;
    loop {
        match client.fetch_watermarks(topic, partition, REQUEST_TIMEOUT) {
            Err(KafkaError::MetadataFetch(_)) if Instant::now() < deadline => {
                client.fetch_metadata(Some(topic), REQUEST_TIMEOUT)?;
                std::thread::sleep(LEADER_PAUSE);
            }
            ends => return ends,
        }
    }
}

#[async_trait]
impl EventLog for KafkaLog {
    async fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<(), Error> {
        admin::ensure_topics(&self.shared.options, specs).await?;
        // A broker that has not heard of them yet may be the next to be asked.
        self.partition_counts().extend(specs.iter().map(|spec| (spec.name.clone(), spec.partitions)));
        Ok(())
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>, Error> {
        let mut under_way = VecDeque::with_capacity(records.len());
        let mut delivered = Vec::with_capacity(records.len());
        for record in &records {
            self.check(record)?;
            let partition = partition_for(&record.key, self.partition_count(&record.topic).await?);
            self.enqueue(record, partition, &mut under_way, &mut delivered).await?;
        }
        for future in under_way {
            delivered.push(delivery(future).await?);
        }
        let positions = records.iter().zip(delivered).map(|(record, (partition, offset))| Position {
            partition: TopicPartition { topic: record.topic.as_str().into(), partition },
            offset,
        });
        Ok(positions.collect())
    }

    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Consumer>, Error> {
        for topic in topics {
            self.partition_count(topic).await?;
        }
        Ok(Box::new(consumer::KafkaConsumer::start(&self.shared.options, group, topics)?))
    }

    async fn tail(&self, partition: &TopicPartition, start: StartAt) -> Result<Box<dyn Tail>, Error> {
        // `End` is resolved now, so that what is appended right after this call is seen.
        let start = match start {
            StartAt::Offset(offset) => offset,
            StartAt::Beginning | StartAt::End => {
                let ends = self.watermarks(&partition.topic).await?;
                let ends = ends.get(&partition.partition).ok_or_else(|| Error::NoTopic(partition.to_string()))?;
                if start == StartAt::End { ends.end } else { ends.begin }
            }
        };
        Ok(Box::new(consumer::KafkaTail::start(&self.shared.options, partition, start)?))
    }

    fn records(&self, partition: &TopicPartition, offsets: Range<u64>) -> BoxStream<'static, Result<Record, Error>> {
        stored::records(&self.shared.options, partition, offsets)
    }

    async fn watermarks(&self, topic: &str) -> Result<BTreeMap<u32, Watermarks>, Error> {
        let count = self.partition_count(topic).await?;
        let (producer, topic) = (self.shared.producer.clone(), topic.to_owned());
        blocking(move || {
            let mut ends = BTreeMap::new();
            for partition in 0..count {
                let (begin, end) = ends_of(producer.client(), &topic, partition.cast_signed())?;
                ends.insert(partition, Watermarks { begin: begin.unsigned_abs(), end: end.unsigned_abs() });
            }
            Ok(ends)
        })
        .await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<BTreeMap<u32, u64>, Error> {
        let count = self.partition_count(topic).await?;
        let config = base_config(&self.shared.options);
        let (group, topic) = (group.to_owned(), topic.to_owned());
        blocking(move || admin::committed(config, &group, &topic, count)).await
    }

    fn max_value_bytes(&self) -> usize {
        self.shared.options.max_value_bytes
    }
}
