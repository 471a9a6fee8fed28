//! All records of a partition, and then an end.

use std::time::{Duration, Instant};

use futures::stream::{self, BoxStream, StreamExt};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tracing::warn;

use crate::consumer::record;
use crate::error::failed;
use crate::{KafkaOptions, base_config};
use twin_stream::Error;
use twin_stream::{Record, TopicPartition};

/// How long a poll waits.
const POLL: Duration = Duration::from_millis(500);

/// A partition that gives neither a record nor its end for this long is not to be had.
const PATIENCE: Duration = Duration::from_secs(30);

/// Records that wait for whoever reads them.
const CHANNEL: usize = 64;

pub(crate) fn records(options: &KafkaOptions, partition: &TopicPartition) -> BoxStream<'static, Result<Record, Error>> {
    let (options, partition) = (options.clone(), partition.clone());
    let (sender, receiver) = mpsc::channel(CHANNEL);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read(&options, &partition, &sender) {
            // Who asked may be gone.
            let _ = sender.blocking_send(Err(error));
        }
    });
    stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver))).boxed()
}

fn read(
    options: &KafkaOptions,
    partition: &TopicPartition,
    sender: &mpsc::Sender<Result<Record, Error>>,
) -> Result<(), Error> {
    let consumer: BaseConsumer = base_config(options)
        // Required by the client and never joined: the partition is assigned by hand.
        .set("group.id", "twin.stored")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        // The end is told, also where compaction has left nothing before it.
        .set("enable.partition.eof", "true")
        .create()
        .map_err(failed)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&partition.topic, partition.partition.cast_signed(), Offset::Beginning)
        .map_err(failed)?;
    consumer.assign(&list).map_err(failed)?;
    let mut heard = Instant::now();
    loop {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                heard = Instant::now();
                if sender.blocking_send(Ok(record(&message))).is_err() {
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
