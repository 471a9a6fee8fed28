//! Values over the log's limit: the value goes to the artifact store, the record carries its name (CloudEvents'
//! `dataref` extension; the claim-check pattern).

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use tracing::warn;
use twin_artifacts::Artifacts;
use twin_schemas::attribute;

use crate::Error;
use crate::log::{
    Consumer, Delivery, EventLog, NewRecord, Position, Record, StartAt, Tail, TopicPartition, TopicSpec, Watermarks,
};

/// An event log that takes values of any size.
pub struct ClaimCheck {
    log: Arc<dyn EventLog>,
    artifacts: Artifacts,
}

impl ClaimCheck {
    /// `log` with its large values in `artifacts`.
    pub fn new(log: Arc<dyn EventLog>, artifacts: Artifacts) -> Self {
        Self { log, artifacts }
    }

    async fn check_in(&self, mut record: NewRecord) -> Result<NewRecord, Error> {
        let limit = self.log.max_value_bytes();
        let Some(value) = record.value.take_if(|value| value.len() > limit) else { return Ok(record) };
        let name = self.artifacts.put(value).await?;
        record.value = Some(format!("{{\"dataref\":\"{name}\"}}").into_bytes());
        record.headers.push((attribute::DATA_REF.to_owned(), name.into_bytes()));
        Ok(record)
    }
}

/// Puts the value back. One that is gone for good stays a reference, which no payload type decodes: the record is
/// dead-lettered with its reference, and the partition goes on.
async fn check_out(artifacts: &Artifacts, record: &mut Record) {
    let mut pause = Duration::from_millis(100);
    while let Err(error) = try_check_out(artifacts, record).await {
        warn!(%error, position = %record.position, "large value can not be read, trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

/// The same once. An error passes.
async fn try_check_out(artifacts: &Artifacts, record: &mut Record) -> Result<(), twin_artifacts::Error> {
    let Some(at) = record.headers.iter().position(|(name, _)| name == attribute::DATA_REF) else { return Ok(()) };
    let name = String::from_utf8_lossy(&record.headers[at].1).into_owned();
    match artifacts.get(&name).await {
        Ok(value) => {
            record.value = Some(value);
            record.headers.remove(at);
        }
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => warn!(%error, position = %record.position, "large value is lost"),
    }
    Ok(())
}

#[async_trait]
impl EventLog for ClaimCheck {
    async fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<(), Error> {
        self.log.ensure_topics(specs).await
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>, Error> {
        let mut checked = Vec::with_capacity(records.len());
        for record in records {
            checked.push(self.check_in(record).await?);
        }
        self.log.append(checked).await
    }

    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Consumer>, Error> {
        let consumer = self.log.subscribe(group, topics).await?;
        Ok(Box::new(CheckedConsumer { consumer, artifacts: self.artifacts.clone(), fetched: None }))
    }

    async fn tail(&self, partition: &TopicPartition, start: StartAt) -> Result<Box<dyn Tail>, Error> {
        let tail = self.log.tail(partition, start).await?;
        Ok(Box::new(CheckedTail { tail, artifacts: self.artifacts.clone(), fetched: None }))
    }

    fn records(&self, partition: &TopicPartition, offsets: Range<u64>) -> BoxStream<'static, Result<Record, Error>> {
        self.log.records(partition, offsets)
    }

    async fn with_value(&self, mut record: Record) -> Result<Record, Error> {
        try_check_out(&self.artifacts, &mut record).await?;
        Ok(record)
    }

    async fn watermarks(&self, topic: &str) -> Result<BTreeMap<u32, Watermarks>, Error> {
        self.log.watermarks(topic).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<BTreeMap<u32, u64>, Error> {
        self.log.committed(group, topic).await
    }

    fn max_value_bytes(&self) -> usize {
        usize::MAX
    }
}

/// Records fetched, of which the first `done` have their values: kept here so that dropping `next` loses nothing.
struct Fetched {
    waiting: VecDeque<Record>,
    done: Vec<Record>,
}

impl Fetched {
    fn new(records: Vec<Record>) -> Self {
        Self { waiting: records.into(), done: Vec::new() }
    }

    async fn complete(&mut self, artifacts: &Artifacts) {
        while let Some(record) = self.waiting.front_mut() {
            check_out(artifacts, record).await;
            self.done.extend(self.waiting.pop_front());
        }
    }
}

struct CheckedConsumer {
    consumer: Box<dyn Consumer>,
    artifacts: Artifacts,
    fetched: Option<Fetched>,
}

#[async_trait]
impl Consumer for CheckedConsumer {
    async fn next(&mut self) -> Result<Delivery, Error> {
        if self.fetched.is_none() {
            match self.consumer.next().await? {
                Delivery::Records(records) => self.fetched = Some(Fetched::new(records)),
                other => return Ok(other),
            }
        }
        if let Some(fetched) = &mut self.fetched {
            fetched.complete(&self.artifacts).await;
        }
        Ok(Delivery::Records(self.fetched.take().map(|fetched| fetched.done).unwrap_or_default()))
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

struct CheckedTail {
    tail: Box<dyn Tail>,
    artifacts: Artifacts,
    fetched: Option<Fetched>,
}

#[async_trait]
impl Tail for CheckedTail {
    async fn next(&mut self) -> Result<Vec<Record>, Error> {
        if self.fetched.is_none() {
            self.fetched = Some(Fetched::new(self.tail.next().await?));
        }
        if let Some(fetched) = &mut self.fetched {
            fetched.complete(&self.artifacts).await;
        }
        Ok(self.fetched.take().map(|fetched| fetched.done).unwrap_or_default())
    }
}
