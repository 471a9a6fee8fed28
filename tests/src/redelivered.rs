//! Events that come more often than once, and in another order.

use anyhow::Result;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use twin_schemas::Topic;
use twin_stream::{EventLog, NewRecord, StartAt, TopicPartition};

/// How often each event comes again.
const TIMES: usize = 2;

/// Appends copies of everything in these topics, shuffled: later revisions before earlier ones, deletions before what they
/// delete, deployments before the models. Returns how many.
///
/// # Errors
/// The log can not be read or written.
pub async fn append_again(log: &dyn EventLog, topics: &[Topic]) -> Result<usize> {
    let mut all = Vec::new();
    for topic in topics {
        all.extend(std::iter::repeat_n(records(log, *topic).await?, TIMES).flatten());
    }
    all.shuffle(&mut StdRng::seed_from_u64(7));
    for some in all.chunks(100) {
        log.append(some.to_vec()).await?;
    }
    Ok(all.len())
}

/// Everything that a topic holds.
///
/// # Errors
/// The log can not be read.
pub async fn records(log: &dyn EventLog, topic: Topic) -> Result<Vec<NewRecord>> {
    let mut found = Vec::new();
    for (partition, ends) in log.watermarks(topic.name()).await? {
        let partition = TopicPartition { topic: topic.name().into(), partition };
        let mut next = ends.begin;
        let mut tail = log.tail(&partition, StartAt::Beginning).await?;
        while next < ends.end {
            for record in tail.next().await? {
                next = record.position.offset + 1;
                let (key, value, headers) = (record.key, record.value, record.headers);
                found.push(NewRecord { topic: topic.name().to_owned(), key, value, headers });
            }
        }
    }
    Ok(found)
}
