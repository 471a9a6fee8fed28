//! What an [`EventLog`] promises to those that append to it, read it in groups and follow it, for every implementation:
//! [`log_contract`](crate::log_contract) makes the tests.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use twin_schemas::Cleanup;

use crate::{
    Consumer, Delivery, Error, EventLog, NewRecord, Record, StartAt, TopicPartition, TopicSpec, partition_for,
};

/// The tests of a backend. `$open` is an async function that makes an empty log that takes values of 100,000 bytes; what it
/// returns lives as long as the log and has it as `log()`.
#[macro_export]
macro_rules! log_contract {
    ($open:path) => {
        $crate::log_contract!(@ $open:
            records_of_a_key_keep_their_order_with_headers_and_tombstones,
            a_topic_that_exists_with_other_partitions_is_refused,
            a_record_without_key_or_over_the_limit_is_refused,
            a_group_starts_at_the_oldest_record_and_goes_on_where_it_committed,
            two_consumers_share_the_partitions_and_hand_them_over,
            a_partition_that_was_paused_and_taken_away_is_read_when_it_comes_back,
            a_tail_from_the_end_sees_what_comes_after,
            a_partition_is_read_to_its_end_or_in_part,
            partitions_are_read_at_once_and_end_however_much_is_appended_meanwhile
        );
    };
    (@ $open:path: $($name:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let place = $open().await;
                $crate::testing::log::$name(place.log()).await;
            }
        )+
    };
}

/// A record with two headers.
pub fn record(topic: &str, key: &str, value: Option<&str>) -> NewRecord {
    NewRecord {
        topic: topic.to_owned(),
        key: key.as_bytes().to_vec(),
        value: value.map(|value| value.as_bytes().to_vec()),
        headers: vec![("ce_id".to_owned(), key.as_bytes().to_vec()), ("binary".to_owned(), vec![0, 255])],
    }
}

/// A compacted topic, made now; its full name.
async fn topic(log: &dyn EventLog, name: &str, partitions: u32) -> String {
    let name = format!("test.{name}");
    log.ensure_topics(&[TopicSpec { name: name.clone(), partitions, cleanup: Cleanup::Compact }]).await.unwrap();
    name
}

/// Reads `count` records, answering whatever else a consumer is told. Panics after a minute.
pub async fn read(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let reading = async {
        while records.len() < count {
            if let Delivery::Records(more) = consumer.next().await.unwrap() {
                records.extend(more);
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), reading).await;
    assert!(in_time.is_ok(), "{} of {count} records came", records.len());
    records
}

#[doc(hidden)]
pub async fn records_of_a_key_keep_their_order_with_headers_and_tombstones(log: Arc<dyn EventLog>) {
    let topic = topic(&*log, "order", 4).await;
    let mut appended = Vec::new();
    for round in 0..20 {
        for key in ["a", "b", "c"] {
            let value = format!("{key}{round}");
            appended.push(record(&topic, key, (round != 19).then_some(value.as_str())));
        }
    }
    let positions = log.append(appended.clone()).await.unwrap();
    assert_eq!(positions.len(), 60);
    assert_eq!(positions[0].partition.partition, partition_for(b"a", 4));

    let mut consumer = log.subscribe("order", &[&topic]).await.unwrap();
    let read = read(&mut consumer, 60).await;
    for key in ["a", "b", "c"] {
        let of_key = |records: &[NewRecord]| -> Vec<_> {
            records.iter().filter(|r| r.key == key.as_bytes()).map(|r| r.value.clone()).collect()
        };
        let values: Vec<_> = read.iter().filter(|r| r.key == key.as_bytes()).map(|r| r.value.clone()).collect();
        assert_eq!(values, of_key(&appended));
        assert_eq!(values.last(), Some(&None), "the tombstone is last");
    }
    // Partitions come in any order; within one, records do not.
    let first = read.iter().find(|record| record.key == b"a").unwrap();
    assert_eq!(first.headers, appended[0].headers);
    assert!(first.timestamp_ms > 1_600_000_000_000);
    consumer.close().await;
}

#[doc(hidden)]
pub async fn a_topic_that_exists_with_other_partitions_is_refused(log: Arc<dyn EventLog>) {
    let topic = topic(&*log, "partitions", 3).await;
    let spec = |partitions| TopicSpec { name: topic.clone(), partitions, cleanup: Cleanup::Compact };
    log.ensure_topics(&[spec(3)]).await.unwrap();
    let error = log.ensure_topics(&[spec(5)]).await.unwrap_err();
    assert!(matches!(error, Error::Partitions { found: 3, wanted: 5, .. }), "{error}");
    let error = log.append(vec![record("twin.no-such-topic", "k", None)]).await.unwrap_err();
    assert!(matches!(error, Error::NoTopic(_)), "{error}");
}

#[doc(hidden)]
pub async fn a_record_without_key_or_over_the_limit_is_refused(log: Arc<dyn EventLog>) {
    let topic = topic(&*log, "limits", 1).await;
    let error = log.append(vec![record(&topic, "", Some("x"))]).await.unwrap_err();
    assert!(matches!(error, Error::NoKey(_)), "{error}");
    let large = "x".repeat(log.max_value_bytes() + 1);
    let error = log.append(vec![record(&topic, "k", Some(&large))]).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[doc(hidden)]
pub async fn a_group_starts_at_the_oldest_record_and_goes_on_where_it_committed(log: Arc<dyn EventLog>) {
    let topic = topic(&*log, "commit", 1).await;
    log.append((0..10).map(|n| record(&topic, "k", Some(&n.to_string()))).collect()).await.unwrap();
    let mut consumer = log.subscribe("commit", &[&topic]).await.unwrap();
    let first = read(&mut consumer, 10).await;
    consumer.commit(&[(first[0].position.partition.clone(), 4)]).await.unwrap();
    consumer.close().await;
    assert_eq!(log.committed("commit", &topic).await.unwrap(), BTreeMap::from([(0, 4)]));

    let mut consumer = log.subscribe("commit", &[&topic]).await.unwrap();
    let rest = read(&mut consumer, 6).await;
    assert_eq!(rest[0].position.offset, 4);
    consumer.close().await;
    let ends = log.watermarks(&topic).await.unwrap();
    assert_eq!((ends[&0].begin, ends[&0].end), (0, 10));
}

/// Waits until the consumer has exactly so many partitions, acknowledging what is taken away.
async fn hold(consumer: &mut Box<dyn Consumer>, held: &mut HashSet<TopicPartition>, count: usize) {
    let settling = async {
        while held.len() != count {
            match consumer.next().await.unwrap() {
                Delivery::Assigned(given) => held.extend(given),
                Delivery::Revoked(taken, _ack) => held.retain(|partition| !taken.contains(partition)),
                Delivery::Lost(taken, _ack) => held.retain(|partition| !taken.contains(partition)),
                Delivery::Records(_) => {}
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), settling).await;
    assert!(in_time.is_ok(), "{} partitions instead of {count}", held.len());
}

#[doc(hidden)]
pub async fn two_consumers_share_the_partitions_and_hand_them_over(log: Arc<dyn EventLog>) {
    let topic = topic(&*log, "share", 4).await;
    let (mut first_holds, mut second_holds) = (HashSet::new(), HashSet::new());
    let mut first = log.subscribe("share", &[&topic]).await.unwrap();
    hold(&mut first, &mut first_holds, 4).await;
    let mut second = log.subscribe("share", &[&topic]).await.unwrap();
    tokio::join!(hold(&mut first, &mut first_holds, 2), hold(&mut second, &mut second_holds, 2));
    assert!(first_holds.is_disjoint(&second_holds));
    // A commit for a partition that is no longer the consumer's is refused or has no effect on its new owner.
    second.close().await;
    hold(&mut first, &mut first_holds, 4).await;
    first.close().await;
}

#[doc(hidden)]
pub async fn a_partition_that_was_paused_and_taken_away_is_read_when_it_comes_back(log: Arc<dyn EventLog>) {
    let topic = topic(&*log, "pause", 2).await;
    let (mut first_holds, mut second_holds) = (HashSet::new(), HashSet::new());
    let mut first = log.subscribe("pause", &[&topic]).await.unwrap();
    hold(&mut first, &mut first_holds, 2).await;
    first.pause(&first_holds.iter().cloned().collect::<Vec<_>>()).await.unwrap();
    let mut second = log.subscribe("pause", &[&topic]).await.unwrap();
    tokio::join!(hold(&mut first, &mut first_holds, 1), hold(&mut second, &mut second_holds, 1));
    second.close().await;
    hold(&mut first, &mut first_holds, 2).await;

    let taken = second_holds.into_iter().next().unwrap();
    let key = ["a", "b", "c", "d", "e"].into_iter().find(|key| partition_for(key.as_bytes(), 2) == taken.partition);
    log.append(vec![record(&topic, key.unwrap(), Some("x"))]).await.unwrap();
    let records = read(&mut first, 1).await;
    assert_eq!(records[0].position.partition, taken);
    first.close().await;
}

#[doc(hidden)]
pub async fn a_tail_from_the_end_sees_what_comes_after(log: Arc<dyn EventLog>) {
    let topic = topic(&*log, "tail", 1).await;
    log.append(vec![record(&topic, "k", Some("before"))]).await.unwrap();
    let partition = TopicPartition { topic: topic.as_str().into(), partition: 0 };
    let mut tail = log.tail(&partition, StartAt::End).await.unwrap();
    log.append(vec![record(&topic, "k", Some("after"))]).await.unwrap();
    let records = tokio::time::timeout(Duration::from_secs(30), tail.next()).await.unwrap().unwrap();
    assert_eq!(records[0].value.as_deref(), Some(&b"after"[..]));
    let mut tail = log.tail(&partition, StartAt::Beginning).await.unwrap();
    let records = tokio::time::timeout(Duration::from_secs(30), tail.next()).await.unwrap().unwrap();
    assert_eq!(records[0].value.as_deref(), Some(&b"before"[..]));
}

#[doc(hidden)]
pub async fn a_partition_is_read_to_its_end_or_in_part(log: Arc<dyn EventLog>) {
    let topic = topic(&*log, "whole", 2).await;
    let partition = |partition| TopicPartition { topic: topic.as_str().into(), partition };
    let part = async |partition, offsets| log.records(&partition, offsets).try_collect::<Vec<Record>>().await.unwrap();
    let whole = async |partition| part(partition, 0..u64::MAX).await;
    assert_eq!((whole(partition(0)).await, whole(partition(1)).await), (Vec::new(), Vec::new()));
    let values = (0..1_200).map(|number| record(&topic, "k", Some(&number.to_string())));
    log.append(values.chain([record(&topic, "k", None)]).collect()).await.unwrap();
    let holder = partition_for(b"k", 2);
    let records = whole(partition(holder)).await;
    let offsets: Vec<u64> = records.iter().map(|record| record.position.offset).collect();
    assert_eq!(offsets, (0..1_201).collect::<Vec<_>>());
    assert_eq!((records[1_199].value.as_deref(), records[1_200].value.as_deref()), (Some(&b"1199"[..]), None));
    assert!(whole(partition(1 - holder)).await.is_empty());
    for (asked, found) in [(7..9, 7..9), (600..1_200, 600..1_200), (1_200..5_000, 1_200..1_201), (9..9, 9..9)] {
        let records = part(partition(holder), asked).await;
        assert!(records.iter().map(|record| record.position.offset).eq(found));
    }
    assert!(part(partition(holder), 1_201..5_000).await.is_empty());
}

#[doc(hidden)]
pub async fn partitions_are_read_at_once_and_end_however_much_is_appended_meanwhile(log: Arc<dyn EventLog>) {
    let topic = topic(&*log, "busy", 12).await;
    let batch = || (0..500).map(|number| record(&topic, &number.to_string(), Some("x"))).collect::<Vec<_>>();
    log.append(batch()).await.unwrap();
    let read = async {
        let partition = |partition| TopicPartition { topic: topic.as_str().into(), partition };
        let streams = stream::iter(0..12).map(|number| log.records(&partition(number), 0..u64::MAX));
        streams.flatten_unordered(12).try_collect::<Vec<Record>>().await.unwrap()
    };
    let append = async {
        loop {
            log.append(batch()).await.unwrap();
        }
    };
    let records: Vec<Record> = tokio::select! {
        records = tokio::time::timeout(Duration::from_secs(60), read) => records.expect("every partition ends"),
        () = append => unreachable!("it appends for ever"),
    };
    for partition in 0..12 {
        let of_it = records.iter().filter(|record| record.position.partition.partition == partition);
        let found: Vec<u64> = of_it.map(|record| record.position.offset).collect();
        assert!(!found.is_empty() && found.iter().copied().eq(0..found.len() as u64), "{partition}: {found:?}");
    }
}
