//! What an event log promises to those that append to it, read it in groups and follow it.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures::TryStreamExt;
use twin_artifacts::Artifacts;
use twin_stream::{
    ClaimCheck, Consumer, Delivery, Error, EventLog, NewRecord, Record, StartAt, TopicPartition, TopicSpec,
    partition_for,
};

use crate::support::Log;

over_both_logs!(
    records_of_a_key_keep_their_order_with_headers_and_tombstones,
    a_topic_that_exists_with_other_partitions_is_refused,
    a_record_without_key_or_over_the_limit_is_refused,
    a_group_starts_at_the_oldest_record_and_goes_on_where_it_committed,
    two_consumers_share_the_partitions_and_hand_them_over,
    a_partition_that_was_paused_and_taken_away_is_read_when_it_comes_back,
    a_tail_from_the_end_sees_what_comes_after,
    a_large_value_travels_by_reference,
    a_partition_is_read_to_its_end_with_references_as_they_are,
);

fn record(topic: &str, key: &str, value: Option<&str>) -> NewRecord {
    NewRecord {
        topic: topic.to_owned(),
        key: key.as_bytes().to_vec(),
        value: value.map(|value| value.as_bytes().to_vec()),
        headers: vec![("ce_id".to_owned(), key.as_bytes().to_vec()), ("binary".to_owned(), vec![0, 255])],
    }
}

/// Reads `count` records, answering whatever else a consumer is told.
async fn read(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Record> {
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

async fn records_of_a_key_keep_their_order_with_headers_and_tombstones(log: Log) {
    let topic = log.topic("order", 4).await;
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

async fn a_topic_that_exists_with_other_partitions_is_refused(log: Log) {
    let topic = log.topic("partitions", 3).await;
    let spec = |partitions| TopicSpec { name: topic.clone(), partitions, cleanup: twin_schemas::Cleanup::Compact };
    log.ensure_topics(&[spec(3)]).await.unwrap();
    let error = log.ensure_topics(&[spec(5)]).await.unwrap_err();
    assert!(matches!(error, Error::Partitions { found: 3, wanted: 5, .. }), "{error}");
    let error = log.append(vec![record("twin.no-such-topic", "k", None)]).await.unwrap_err();
    assert!(matches!(error, Error::NoTopic(_)), "{error}");
}

async fn a_record_without_key_or_over_the_limit_is_refused(log: Log) {
    let topic = log.topic("limits", 1).await;
    let error = log.append(vec![record(&topic, "", Some("x"))]).await.unwrap_err();
    assert!(matches!(error, Error::NoKey(_)), "{error}");
    let large = "x".repeat(log.max_value_bytes() + 1);
    let error = log.append(vec![record(&topic, "k", Some(&large))]).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

async fn a_group_starts_at_the_oldest_record_and_goes_on_where_it_committed(log: Log) {
    let topic = log.topic("commit", 1).await;
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

async fn two_consumers_share_the_partitions_and_hand_them_over(log: Log) {
    let topic = log.topic("share", 4).await;
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

async fn a_partition_that_was_paused_and_taken_away_is_read_when_it_comes_back(log: Log) {
    let topic = log.topic("pause", 2).await;
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

async fn a_tail_from_the_end_sees_what_comes_after(log: Log) {
    let topic = log.topic("tail", 1).await;
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

async fn a_large_value_travels_by_reference(log: Log) {
    let topic = log.topic("large", 1).await;
    let folder = tempfile::tempdir().unwrap();
    let checked = ClaimCheck::new(log.shared(), Artifacts::in_folder(folder.path()).unwrap());
    let large = "long ".repeat(log.max_value_bytes() / 2);
    checked.append(vec![record(&topic, "k", Some(&large)), record(&topic, "k", Some("short"))]).await.unwrap();
    let mut plain = log.subscribe("plain", &[&topic]).await.unwrap();
    let stored = read(&mut plain, 2).await;
    assert!(stored[0].value.as_ref().unwrap().len() < 200, "the log holds a reference");
    plain.close().await;
    let mut consumer = checked.subscribe("large", &[&topic]).await.unwrap();
    let records = read(&mut consumer, 2).await;
    assert_eq!(records[0].value.as_deref(), Some(large.as_bytes()));
    assert_eq!(records[0].headers, record(&topic, "k", None).headers);
    consumer.close().await;
}

async fn a_partition_is_read_to_its_end_with_references_as_they_are(log: Log) {
    let topic = log.topic("whole", 2).await;
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::in_folder(folder.path()).unwrap();
    let checked = ClaimCheck::new(log.shared(), artifacts.clone());
    let partition = |partition| TopicPartition { topic: topic.as_str().into(), partition };
    let whole = async |partition| checked.records(&partition).try_collect::<Vec<Record>>().await.unwrap();
    assert_eq!((whole(partition(0)).await, whole(partition(1)).await), (Vec::new(), Vec::new()));

    let large = "long ".repeat(log.max_value_bytes() / 2);
    let short = (0..1_200).map(|number| record(&topic, "k", Some(&number.to_string())));
    checked
        .append(short.chain([record(&topic, "k", Some(&large)), record(&topic, "k", None)]).collect())
        .await
        .unwrap();
    let holder = partition_for(b"k", 2);
    let records = whole(partition(holder)).await;
    let offsets: Vec<u64> = records.iter().map(|record| record.position.offset).collect();
    assert_eq!(offsets, (0..1_202).collect::<Vec<_>>());
    assert_eq!((records[1_199].value.as_deref(), records[1_201].value.as_deref()), (Some(&b"1199"[..]), None));
    let reference = records[1_200].headers.iter().find(|(name, _)| name == twin_schemas::attribute::DATA_REF).unwrap();
    assert_eq!(artifacts.get(std::str::from_utf8(&reference.1).unwrap()).await.unwrap(), large.as_bytes());
    assert!(whole(partition(1 - holder)).await.is_empty());
}

#[tokio::test]
async fn the_embedded_log_keeps_what_a_group_has_yet_to_read_and_the_newest_of_each_key() {
    let (log, sqlite) = Log::sqlite_with_handle().await;
    let topic = log.topic("compacted", 1).await;
    let expiring = log.topic_with("expiring", 1, twin_schemas::Cleanup::Delete(Duration::ZERO)).await;
    for round in 0..1_200 {
        let key = format!("k{}", round % 10);
        log.append(vec![record(&topic, &key, Some("x")), record(&expiring, &key, Some("x"))]).await.unwrap();
    }
    let mut consumer = log.subscribe("slow", &[&topic, &expiring]).await.unwrap();
    read(&mut consumer, 2_400).await;
    let at = |topic: &str| TopicPartition { topic: topic.into(), partition: 0 };
    consumer.commit(&[(at(&topic), 1_100), (at(&expiring), 1_100)]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    sqlite.maintain().await.unwrap();
    let ends = log.watermarks(&expiring).await.unwrap()[&0];
    assert_eq!((ends.begin, ends.end), (1_100, 1_200), "unread records stay whatever their age");
    let mut again = log.subscribe("new", &[&topic]).await.unwrap();
    let kept = read(&mut again, 100).await;
    assert_eq!(kept[0].position.offset, 1_100, "read and superseded records are gone");
    assert_eq!(log.append(vec![record(&topic, "k", None)]).await.unwrap()[0].offset, 1_200);
}
