//! The event log in the embedded database.
//!
//! Records are rows of one table whose integer key is (topic, partition, offset), so that a fetch is a range scan.
//! Appends are durable when they return. Groups live in this process: their members share partitions and hand them
//! over as those of Kafka do, and committed offsets are in the file. One process has the file as its log at a time
//! (the data folder is locked).

mod groups;
mod maintenance;
mod records;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::{Database, Migration};
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use rusqlite::Connection;
use tokio::sync::watch;

use groups::{Groups, SqliteConsumer};
use twin_stream::{
    Consumer, Error, EventLog, NewRecord, Position, Record, StartAt, Tail, TopicPartition, TopicSpec, Watermarks,
};

const MIGRATIONS: &[Migration] = &["
CREATE TABLE log_topics (
    topic_id   INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    partitions INTEGER NOT NULL,
    -- Milliseconds that records are kept; null: the newest of each key is kept.
    retention_ms INTEGER
);
CREATE TABLE log_partitions (
    topic_id     INTEGER NOT NULL,
    partition    INTEGER NOT NULL,
    next_offset  INTEGER NOT NULL,
    compacted_to INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (topic_id, partition)
) WITHOUT ROWID;
CREATE TABLE log_records (
    record_id    INTEGER PRIMARY KEY,
    record_key   BLOB NOT NULL,
    value        BLOB,
    headers      BLOB NOT NULL,
    timestamp_ms INTEGER NOT NULL
);
CREATE TABLE log_offsets (
    consumer_group TEXT NOT NULL,
    topic_id       INTEGER NOT NULL,
    partition      INTEGER NOT NULL,
    next_offset    INTEGER NOT NULL,
    PRIMARY KEY (consumer_group, topic_id, partition)
) WITHOUT ROWID;
"];

/// What a statement of the log can end with.
type Failure = crate::Failure<Error>;

/// The embedded event log; clones share it.
#[derive(Clone)]
pub struct SqliteLog {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    max_value_bytes: usize,
    /// Counts appends; readers that have read everything wait on it.
    appended: watch::Sender<u64>,
    groups: Groups,
}

impl SqliteLog {
    /// Opens the log, making or migrating its tables. `max_value_bytes` bounds a value, as a broker would.
    pub async fn open(database: Database, max_value_bytes: usize) -> Result<Self, Error> {
        let migrate = |tx: &Connection| Ok(crate::migrate(tx, "log", MIGRATIONS)?);
        database.write::<_, Failure, _>(migrate).await?;
        let shared = Shared { database, max_value_bytes, appended: watch::channel(0).0, groups: Groups::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Deletes what retention and compaction let go, except what a group has yet to read. Returns how many records
    /// went.
    pub async fn maintain(&self) -> Result<u64, Error> {
        Ok(maintenance::run(&self.shared.database).await?)
    }

    fn check(&self, records: &[NewRecord]) -> Result<(), Error> {
        for record in records {
            if record.key.is_empty() {
                return Err(Error::NoKey(record.topic.clone()));
            }
            let bytes = record.value.as_ref().map_or(0, Vec::len);
            let limit = self.shared.max_value_bytes;
            if bytes > limit {
                return Err(Error::TooLarge { topic: record.topic.clone(), bytes, limit });
            }
        }
        Ok(())
    }
}

#[async_trait]
impl EventLog for SqliteLog {
    async fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<(), Error> {
        let specs = specs.to_vec();
        Ok(self.shared.database.write(move |tx| records::ensure_topics(tx, &specs)).await?)
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>, Error> {
        self.check(&records)?;
        let positions = self.shared.database.write(move |tx| records::append(tx, &records)).await?;
        self.shared.appended.send_modify(|count| *count += 1);
        Ok(positions)
    }

    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Consumer>, Error> {
        let mut partitions = Vec::new();
        for topic in topics {
            for partition in self.watermarks(topic).await?.into_keys() {
                partitions.push(TopicPartition { topic: (*topic).into(), partition });
            }
        }
        Ok(Box::new(SqliteConsumer::join(self.clone(), group, partitions)))
    }

    async fn tail(&self, partition: &TopicPartition, start: StartAt) -> Result<Box<dyn Tail>, Error> {
        let ends = self.watermarks(&partition.topic).await?;
        let ends = ends.get(&partition.partition).ok_or_else(|| Error::NoTopic(partition.to_string()))?;
        let position = match start {
            StartAt::Beginning => ends.begin,
            StartAt::End => ends.end,
            StartAt::Offset(offset) => offset,
        };
        let appended = self.shared.appended.subscribe();
        Ok(Box::new(SqliteTail { log: self.clone(), partition: partition.clone(), position, appended }))
    }

    fn records(&self, partition: &TopicPartition, offsets: Range<u64>) -> BoxStream<'static, Result<Record, Error>> {
        let start = (self.clone(), partition.clone(), offsets);
        let fetched = stream::try_unfold(start, async |(log, partition, offsets)| {
            let Range { start, end } = offsets;
            let from = vec![(partition.clone(), start)];
            let records = log.shared.database.read(move |c| records::fetch(c, &from, end)).await?;
            let next = records.last().map(|last| last.position.offset + 1..end);
            Ok::<_, Error>(next.map(|next| (stream::iter(records.into_iter().map(Ok)), (log, partition, next))))
        });
        fetched.try_flatten().boxed()
    }

    async fn watermarks(&self, topic: &str) -> Result<BTreeMap<u32, Watermarks>, Error> {
        let topic = topic.to_owned();
        Ok(self.shared.database.read(move |c| records::watermarks(c, &topic)).await?)
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<BTreeMap<u32, u64>, Error> {
        let (group, topic) = (group.to_owned(), topic.to_owned());
        Ok(self.shared.database.read(move |c| records::committed(c, &group, &topic)).await?)
    }

    fn max_value_bytes(&self) -> usize {
        self.shared.max_value_bytes
    }
}

struct SqliteTail {
    log: SqliteLog,
    partition: TopicPartition,
    position: u64,
    appended: watch::Receiver<u64>,
}

#[async_trait]
impl Tail for SqliteTail {
    async fn next(&mut self) -> Result<Vec<Record>, Error> {
        loop {
            self.appended.mark_unchanged();
            let from = vec![(self.partition.clone(), self.position)];
            let records = self.log.shared.database.read(move |c| records::fetch(c, &from, u64::MAX)).await?;
            if let Some(last) = records.last() {
                self.position = last.position.offset + 1;
                return Ok(records);
            }
            self.appended.changed().await.map_err(|_| Error::Closed)?;
        }
    }
}
