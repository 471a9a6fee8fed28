//! Several real brokers that are one cluster: each partition has a replica on each, and an append needs most of them.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::seat::Seat;
use crate::{Kafka, KafkaOptions};

/// A port can be taken between its choice and its use.
const START_ATTEMPTS: usize = 3;
/// Above the time that a cluster takes to choose a new leader.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// A Kafka cluster on loopback. Topics are not made by themselves.
#[derive(Debug)]
pub struct KafkaCluster {
    brokers: Vec<Kafka>,
}

impl KafkaCluster {
    /// Starts so many brokers and waits until all of them answer.
    ///
    /// # Errors
    /// As [`Kafka::start`].
    pub fn start(brokers: usize, options: &KafkaOptions) -> Result<Self> {
        let mut attempt = 1;
        loop {
            let cluster = Self::prepare(brokers, options)?;
            match cluster.launch() {
                Ok(()) => return Ok(cluster),
                Err(_) if attempt < START_ATTEMPTS && cluster.found_a_port_taken() => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The brokers; the first has the id 1.
    pub fn brokers(&self) -> &[Kafka] {
        &self.brokers
    }

    /// The addresses for `bootstrap.servers`. They stay the same over restarts.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<&str> = self.brokers.iter().map(Kafka::bootstrap).collect();
        addresses.join(",")
    }

    /// The broker that leads a partition now.
    ///
    /// # Errors
    /// No broker answers, there is no such partition, or it has no leader.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<&Kafka> {
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", self.bootstrap()).create()?;
        let metadata = client.fetch_metadata(Some(topic), METADATA_TIMEOUT)?;
        let partitions = metadata.topics().first().map(|topic| topic.partitions()).unwrap_or_default();
        let found = partitions.iter().find(|found| found.id() == partition);
        let leader = found.with_context(|| format!("{topic} has no partition {partition}"))?.leader();
        let broker = self.brokers.iter().find(|broker| broker.node() == leader);
        broker.with_context(|| format!("partition {partition} of {topic} has no leader"))
    }

    /// Starts every broker again that was killed or stopped, at the same time: one alone may have nobody to talk to.
    ///
    /// # Errors
    /// As [`Kafka::restart`].
    pub fn restart_dead(&self) -> Result<()> {
        let dead: Vec<&Kafka> = self.brokers.iter().filter(|broker| !broker.is_started()).collect();
        for broker in &dead {
            broker.launch()?;
        }
        dead.into_iter().try_for_each(Kafka::wait_until_ready)
    }

    /// Formatting takes a second of each broker: side by side.
    fn prepare(brokers: usize, options: &KafkaOptions) -> Result<Self> {
        let seats = Seat::cluster(brokers)?;
        let prepared: Result<Vec<Kafka>> = thread::scope(|scope| {
            let threads: Vec<_> =
                seats.into_iter().map(|seat| scope.spawn(move || Kafka::prepare(options, seat))).collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?).collect()
        });
        Ok(Self { brokers: prepared? })
    }

    fn launch(&self) -> Result<()> {
        for broker in &self.brokers {
            broker.launch()?;
        }
        self.brokers.iter().try_for_each(Kafka::wait_until_ready)
    }

    fn found_a_port_taken(&self) -> bool {
        self.brokers.iter().any(|broker| broker.log().contains("Address already in use"))
    }
}
