//! A partition's records at some offsets, and then an end.

use std::ops::Range;
use std::time::{Duration, Instant};

use futures::stream::{self, BoxStream, StreamExt};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tracing::warn;

use crate::consumer::record;
use crate::error::failed;
use crate::{KafkaOptions, base_config, ends_of};
use twin_stream::Error;
use twin_stream::{Record, TopicPartition};

/// How long a poll waits.
const POLL: Duration = Duration::from_millis(500);

/// A partition that gives neither a record nor its end for this long is not to be had.
const PATIENCE: Duration = Duration::from_secs(30);

/// Records that wait for whoever reads them.
const CHANNEL: usize = 64;

pub(crate) fn records(
    options: &KafkaOptions,
    partition: &TopicPartition,
    offsets: Range<u64>,
) -> BoxStream<'static, Result<Record, Error>> {
    let (options, partition) = (options.clone(), partition.clone());
    let (sender, receiver) = mpsc::channel(CHANNEL);
    tokio::task::spawn_blocking(move || {
        let consumer = match consumer(&options) {
            Ok(consumer) => consumer,
            // Who asked may be gone.
            Err(error) => return drop(sender.blocking_send(Err(error))),
        };
        if let Err(error) = read(&consumer, &partition, offsets, &sender) {
            let _ = sender.blocking_send(Err(error));
        }
        // The end is told first: to close a consumer takes as long as its last request.
        drop(sender);
        drop(consumer);
    });
    stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver))).boxed()
}

fn consumer(options: &KafkaOptions) -> Result<BaseConsumer, Error> {
    base_config(options)
        // Required by the client and never joined: the partition is assigned by hand.
        .set("group.id", "twin.stored")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        // Nobody waits for new records: a broker that has none answers at once.
        .set("fetch.wait.max.ms", "10")
        // Several partitions may be read at once, each with a consumer of its own.
        .set("queued.max.messages.kbytes", "8192")
        // The end is told, also where compaction has left nothing before it.
        .set("enable.partition.eof", "true")
        .create()
        .map_err(failed)
}

fn read(
    consumer: &BaseConsumer,
    partition: &TopicPartition,
    offsets: Range<u64>,
    sender: &mpsc::Sender<Result<Record, Error>>,
) -> Result<(), Error> {
    let number = partition.partition.cast_signed();
    let (begin, end) = ends_of(consumer.client(), &partition.topic, number).map_err(failed)?;
    let begin = begin.unsigned_abs().max(offsets.start);
    let end = end.unsigned_abs().min(offsets.end);
    if begin >= end {
        return Ok(());
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&partition.topic, number, Offset::Offset(begin.cast_signed())).map_err(failed)?;
    consumer.assign(&list).map_err(failed)?;
    let mut heard = Instant::now();
    loop {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let record = record(&message);
                let next = record.position.offset + 1;
                // What was asked for may end in a gap: what comes behind it shows that.
                if next > end || sender.blocking_send(Ok(record)).is_err() || next == end {
                    return Ok(());
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(error)) => {
                let error = failed(error);
                if !error.is_transient() || heard.elapsed() >= PATIENCE {
                    return Err(error);
                }
                warn!(%error, "kafka consumer");
            }
            None if heard.elapsed() >= PATIENCE => return Err(Error::Silent(partition.clone())),
            None => {}
        }
    }
}
