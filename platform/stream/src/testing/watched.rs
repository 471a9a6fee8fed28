//! A log around a real one, by which a test sees what is asked of it, or holds it up.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};

use crate::{
    Consumer, Delivery, Error, EventLog, NewRecord, Position, Record, StartAt, Tail, TopicPartition, TopicSpec,
    Watermarks,
};

/// What a test does at the calls of a log. By itself it does nothing.
#[async_trait]
pub trait Watch: Send + Sync {
    /// Records are about to be appended: they are when this returns.
    async fn appending(&self) {}

    /// So many records were read, from a [`Tail`] or [`EventLog::records`].
    fn read(&self, _records: usize) {}

    /// A consumer is asked for what comes next.
    fn asked(&self) {}
}

/// A log that a test watches: everything is done by the log within.
pub struct Watched<W> {
    log: Arc<dyn EventLog>,
    watch: Arc<W>,
}

impl<W: Watch> Watched<W> {
    /// Watches `log`.
    pub fn new(log: Arc<dyn EventLog>, watch: Arc<W>) -> Self {
        Self { log, watch }
    }
}

struct WatchedTail<W> {
    tail: Box<dyn Tail>,
    watch: Arc<W>,
}

#[async_trait]
impl<W: Watch> Tail for WatchedTail<W> {
    async fn next(&mut self) -> Result<Vec<Record>, Error> {
        let records = self.tail.next().await?;
        self.watch.read(records.len());
        Ok(records)
    }
}

struct WatchedConsumer<W> {
    consumer: Box<dyn Consumer>,
    watch: Arc<W>,
}

#[async_trait]
impl<W: Watch> Consumer for WatchedConsumer<W> {
    async fn next(&mut self) -> Result<Delivery, Error> {
        self.watch.asked();
        self.consumer.next().await
    }

    async fn pause(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        self.consumer.pause(partitions).await
    }

    async fn resume(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        self.consumer.resume(partitions).await
    }

    async fn commit(&self, offsets: &[(TopicPartition, u64)]) -> Result<(), Error> {
        self.consumer.commit(offsets).await
    }

    async fn close(self: Box<Self>) {
        self.consumer.close().await;
    }
}

#[async_trait]
impl<W: Watch + 'static> EventLog for Watched<W> {
    async fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<(), Error> {
        self.log.ensure_topics(specs).await
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>, Error> {
        self.watch.appending().await;
        self.log.append(records).await
    }

    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Consumer>, Error> {
        let consumer = self.log.subscribe(group, topics).await?;
        Ok(Box::new(WatchedConsumer { consumer, watch: self.watch.clone() }))
    }

    async fn tail(&self, partition: &TopicPartition, start: StartAt) -> Result<Box<dyn Tail>, Error> {
        let tail = self.log.tail(partition, start).await?;
        Ok(Box::new(WatchedTail { tail, watch: self.watch.clone() }))
    }

    fn records(&self, partition: &TopicPartition, offsets: Range<u64>) -> BoxStream<'static, Result<Record, Error>> {
        let watch = self.watch.clone();
        self.log.records(partition, offsets).inspect_ok(move |_| watch.read(1)).boxed()
    }

    async fn with_value(&self, record: Record) -> Result<Record, Error> {
        self.log.with_value(record).await
    }

    async fn watermarks(&self, topic: &str) -> Result<BTreeMap<u32, Watermarks>, Error> {
        self.log.watermarks(topic).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<BTreeMap<u32, u64>, Error> {
        self.log.committed(group, topic).await
    }

    fn max_value_bytes(&self) -> usize {
        self.log.max_value_bytes()
    }
}
