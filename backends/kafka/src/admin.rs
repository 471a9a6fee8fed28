//! Topics and offsets, asked of the cluster.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{Client, ClientContext, DefaultClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use twin_schemas::Cleanup;

use crate::error::failed;
use crate::{KafkaOptions, REQUEST_TIMEOUT, base_config};
use twin_stream::Error;
use twin_stream::TopicSpec;

pub(crate) async fn ensure_topics(options: &KafkaOptions, specs: &[TopicSpec]) -> Result<(), Error> {
    let admin: AdminClient<DefaultClientContext> = base_config(options).create().map_err(failed)?;
    let retentions: Vec<String> = specs.iter().map(retention_ms).collect();
    let max_bytes = (options.max_value_bytes + 100_000).to_string();
    let topics: Vec<NewTopic<'_>> = specs
        .iter()
        .zip(&retentions)
        .map(|(spec, retention)| {
            let replication = TopicReplication::Fixed(options.replication);
            let topic = NewTopic::new(&spec.name, spec.partitions.cast_signed(), replication)
                .set("max.message.bytes", &max_bytes);
            match spec.cleanup {
                Cleanup::Compact => topic.set("cleanup.policy", "compact"),
                Cleanup::Delete(_) => topic.set("cleanup.policy", "delete").set("retention.ms", retention),
            }
        })
        .collect();
    let timeouts = AdminOptions::new().operation_timeout(Some(REQUEST_TIMEOUT)).request_timeout(Some(REQUEST_TIMEOUT));
    let results = admin.create_topics(&topics, &timeouts).await.map_err(failed)?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(failed(KafkaError::AdminOp(code))),
        }
    }
    let specs = specs.to_vec();
    let checked = tokio::task::spawn_blocking(move || specs.iter().try_for_each(|spec| check_partitions(&admin, spec)));
    checked.await.map_err(|_| Error::Closed)?
}

fn retention_ms(spec: &TopicSpec) -> String {
    match spec.cleanup {
        Cleanup::Compact => "-1".to_owned(),
        Cleanup::Delete(age) => age.as_millis().to_string(),
    }
}

/// Waits until the topic is known: other brokers hear of a new one later than the one that made it.
fn check_partitions(admin: &AdminClient<DefaultClientContext>, spec: &TopicSpec) -> Result<(), Error> {
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    loop {
        match partition_count(admin.inner(), &spec.name).map_err(failed)? {
            Some(found) if found == spec.partitions => return Ok(()),
            Some(found) => {
                return Err(Error::Partitions { topic: spec.name.clone(), found, wanted: spec.partitions });
            }
            None if Instant::now() >= deadline => return Err(Error::NoTopic(spec.name.clone())),
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// None if there is no such topic.
pub(crate) fn partition_count<C: ClientContext>(client: &Client<C>, topic: &str) -> Result<Option<u32>, KafkaError> {
    let metadata = client.fetch_metadata(Some(topic), REQUEST_TIMEOUT)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
    Ok(found.map(|topic| topic.partitions().len() as u32).filter(|count| *count > 0))
}

pub(crate) fn committed(
    mut config: ClientConfig,
    group: &str,
    topic: &str,
    partitions: u32,
) -> Result<BTreeMap<u32, u64>, KafkaError> {
    let consumer: BaseConsumer = config.set("group.id", group).create()?;
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_range(topic, 0, partitions.cast_signed() - 1);
    let answered = consumer.committed_offsets(wanted, REQUEST_TIMEOUT)?;
    let offsets = answered.elements().into_iter().filter_map(|element| match element.offset() {
        Offset::Offset(offset) => Some((element.partition().unsigned_abs(), offset.unsigned_abs())),
        _ => None,
    });
    Ok(offsets.collect())
}
