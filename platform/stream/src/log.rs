//! The event log port: topics of ordered partitions, consumer groups, tails.
//!
//! Two implementations keep this contract, [`crate::sqlite`] and [`crate::kafka`]; `tests/contract.rs` runs one
//! suite over both.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use twin_schemas::{Cleanup, Topic, dead_letter_topic};

use crate::Error;

/// Headers of a record, in order.
pub type Headers = Vec<(String, Vec<u8>)>;

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition, from 0.
    pub partition: u32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// Where a record is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// In which partition.
    pub partition: TopicPartition,
    /// At which offset, from 0. Offsets grow; compaction and retention leave gaps.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.partition, self.offset)
    }
}

/// A record read.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Where it is.
    pub position: Position,
    /// What it is keyed by.
    pub key: Vec<u8>,
    /// The value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Headers,
    /// When it was appended, milliseconds since 1970.
    pub timestamp_ms: i64,
}

impl Record {
    /// Bytes that it takes in memory, roughly.
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.len() + self.value.as_ref().map_or(0, Vec::len) + headers
    }
}

/// A record to append.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRecord {
    /// To which topic.
    pub topic: String,
    /// The key; never empty. Records of one key keep their order.
    pub key: Vec<u8>,
    /// The value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Headers,
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// How many partitions; fixed for the topic's life, since another count would move keys.
    pub partitions: u32,
    /// When records leave it.
    pub cleanup: Cleanup,
}

impl TopicSpec {
    /// Every topic of the system, with its dead-letter topic where it has one.
    pub fn all(partitions: u32) -> Vec<Self> {
        let dead_letters = Cleanup::Delete(Duration::from_secs(30 * 24 * 60 * 60));
        let mut specs = Vec::new();
        for topic in Topic::ALL {
            specs.push(Self { name: topic.name().to_owned(), partitions, cleanup: topic.cleanup() });
            if topic.has_dead_letters() {
                specs.push(Self { name: dead_letter_topic(topic.name()), partitions: 1, cleanup: dead_letters });
            }
        }
        specs
    }
}

/// The ends of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset that may still be read.
    pub begin: u64,
    /// The offset that the next record will get.
    pub end: u64,
}

/// Where a tail starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At the oldest record.
    Beginning,
    /// After the newest.
    End,
    /// At this offset, or the next one there is.
    Offset(u64),
}

/// An event log.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Creates the topics that are not there. One that is there with another partition count is an error.
    async fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<(), Error>;

    /// Appends the records, in order for each key, and returns once every one is durable. On an error some may
    /// have been appended: the caller appends all again.
    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>, Error>;

    /// Joins a consumer group. A group that has committed nothing starts at the oldest record.
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Consumer>, Error>;

    /// Reads one partition without a group.
    async fn tail(&self, partition: &TopicPartition, start: StartAt) -> Result<Box<dyn Tail>, Error>;

    /// Every record that a partition holds now at these offsets, in order and read without a group, and then the end. What
    /// is appended meanwhile is not waited for. A value that travels by reference stays one.
    fn records(&self, partition: &TopicPartition, offsets: Range<u64>) -> BoxStream<'static, Result<Record, Error>>;

    /// A record of [`Self::records`] with its value, where that travels by reference. One whose value is gone for good
    /// stays as it is.
    async fn with_value(&self, record: Record) -> Result<Record, Error> {
        Ok(record)
    }

    /// The ends of each partition of a topic.
    async fn watermarks(&self, topic: &str) -> Result<BTreeMap<u32, Watermarks>, Error>;

    /// The next offset that a group will read, per partition; absent where it has committed nothing.
    async fn committed(&self, group: &str, topic: &str) -> Result<BTreeMap<u32, u64>, Error>;

    /// The largest value that can be appended, bytes.
    fn max_value_bytes(&self) -> usize;
}

/// The partition for a key: murmur2 as Kafka's Java client has it (`DefaultPartitioner`, `Utils.murmur2`), so
/// that both logs and any other producer agree.
pub fn partition_for(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions
}

fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h: u32 = 0x9747_b28c ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        // `chunks_exact(4)` yields slices of four bytes.
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * index);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// What a consumer is given.
pub enum Delivery {
    /// These partitions are now this consumer's.
    Assigned(Vec<TopicPartition>),
    /// These are being taken away. The group waits, up to a deadline, until the acknowledgement is dropped; what
    /// was finished may be committed before that.
    Revoked(Vec<TopicPartition>, RevokeAck),
    /// These were taken away already: commits for them would be refused. The consumer joins the group again once the
    /// acknowledgement is dropped; a commit after that would count as one of the new owner.
    Lost(Vec<TopicPartition>, RevokeAck),
    /// Records, in order for each partition.
    Records(Vec<Record>),
}

/// Dropped when partitions that were taken away have been let go of.
pub struct RevokeAck {
    _done: std::sync::mpsc::Sender<()>,
}

impl RevokeAck {
    /// An acknowledgement, and the receiver that is disconnected once it is dropped.
    pub fn pair() -> (Self, std::sync::mpsc::Receiver<()>) {
        let (sender, receiver) = std::sync::mpsc::channel();
        (Self { _done: sender }, receiver)
    }
}

/// A member of a consumer group.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Waits for the next delivery. Dropping the future loses nothing.
    async fn next(&mut self) -> Result<Delivery, Error>;

    /// Stops deliveries from these partitions; `next` still has to be called, so that the group sees a live member.
    /// A partition that is taken away and comes back is not paused.
    async fn pause(&self, partitions: &[TopicPartition]) -> Result<(), Error>;

    /// Starts them again.
    async fn resume(&self, partitions: &[TopicPartition]) -> Result<(), Error>;

    /// Records the next offset to read of each partition, durably.
    async fn commit(&self, offsets: &[(TopicPartition, u64)]) -> Result<(), Error>;

    /// Leaves the group, without commits.
    async fn close(self: Box<Self>);
}

/// A reader of one partition.
#[async_trait]
pub trait Tail: Send {
    /// Waits for records, in order; never returns an empty list. Dropping the future loses nothing.
    async fn next(&mut self) -> Result<Vec<Record>, Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spread_as_kafkas_java_client_spreads_them() {
        // Expected values of `Utils.murmur2` in Kafka's own UtilsTest.
        for (key, expected) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, expected, "{key}");
        }
        assert!(partition_for(b"any", 4) < 4);
    }
}
