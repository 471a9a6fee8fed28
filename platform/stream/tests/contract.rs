//! One suite for every event log: what `EventLog` and the stage runtime promise, over SQLite and over a real broker.

mod common;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use common::{Log, Recorder, Signal, cleaned, document, eventually, raw, run_stage, stage_named};
use twin_artifacts::Artifacts;
use twin_schemas::{CleanedDocument, DocumentId, RawDocument, Revision, Topic, dead_letter_topic};
use twin_stream::{
    ClaimCheck, Consumer, DeadLetters, Delivery, Error, EventLog, NewEvent, NewRecord, Order, Outcome, Record, StartAt,
    TopicPartition, TopicSpec, partition_for,
};

const RAW: &str = "twin.documents.raw.v1";

/// A test for each log.
macro_rules! over_both_logs {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::Log::sqlite().await).await })+
        }
        mod kafka {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::Log::kafka().await).await })+
        }
    };
}

over_both_logs!(
    records_of_a_key_keep_their_order_with_headers_and_tombstones,
    a_topic_that_exists_with_other_partitions_is_refused,
    a_record_without_key_or_over_the_limit_is_refused,
    a_group_starts_at_the_oldest_record_and_goes_on_where_it_committed,
    two_consumers_share_the_partitions_and_hand_them_over,
    a_tail_from_the_end_sees_what_comes_after,
    a_large_value_travels_by_reference,
    a_stage_hands_in_every_event_in_order_for_each_key,
    a_stage_that_restarts_goes_on_without_repeating,
    a_stage_cut_off_in_mid_batch_is_given_the_batch_again,
    a_refused_event_is_dead_lettered_before_its_offset_passes_and_can_be_replayed,
    a_panic_is_pinned_to_its_event,
    a_passing_failure_is_tried_again_and_holds_back_the_offset,
    a_slow_handler_pauses_its_partition_and_loses_nothing,
    an_unordered_stage_works_on_many_events_of_a_partition_at_once,
    lag_is_what_a_group_has_yet_to_commit,
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
                Delivery::Lost(taken) => held.retain(|partition| !taken.contains(partition)),
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

async fn a_stage_hands_in_every_event_in_order_for_each_key(log: Log) {
    log.ensure_topics(&TopicSpec::all(4)).await.unwrap();
    let documents: Vec<DocumentId> = (0..5).map(document).collect();
    let mut events = Vec::new();
    for revision in 1..=20 {
        for id in &documents {
            events.push(raw(*id, revision).into_record());
        }
    }
    log.append(events).await.unwrap();
    let recorder = Recorder::answering(|_| Outcome::Done);
    let stage = run_stage(log.shared(), &recorder, |_| {}).await;
    eventually("all events are handled", || recorder.seen().len() == 100).await;
    for id in &documents {
        let revisions: Vec<u64> = recorder.seen().iter().filter(|(d, _)| d == id).map(|(_, r)| r.0).collect();
        assert_eq!(revisions, (1..=20).collect::<Vec<_>>());
    }
    stage.stop().await;
}

async fn a_stage_that_restarts_goes_on_without_repeating(log: Log) {
    log.ensure_topics(&TopicSpec::all(2)).await.unwrap();
    log.append((0..30).map(|n| raw(document(n), 1).into_record()).collect()).await.unwrap();
    let recorder = Recorder::answering(|_| Outcome::Done);
    let stage = run_stage(log.shared(), &recorder, |_| {}).await;
    eventually("the first are handled", || recorder.seen().len() == 30).await;
    stage.stop().await;
    log.append((30..60).map(|n| raw(document(n), 1).into_record()).collect()).await.unwrap();
    let stage = run_stage(log.shared(), &recorder, |_| {}).await;
    eventually("the rest are handled", || recorder.seen().len() >= 60).await;
    stage.stop().await;
    let distinct: HashSet<_> = recorder.seen().into_iter().collect();
    assert_eq!((recorder.seen().len(), distinct.len()), (60, 60), "a drained stop leaves nothing to repeat");
}

async fn a_stage_cut_off_in_mid_batch_is_given_the_batch_again(log: Log) {
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    log.append((0..3).map(|n| raw(document(n), 1).into_record()).collect()).await.unwrap();
    let hanging = Recorder::hanging();
    let stage = run_stage(log.shared(), &hanging, |_| {}).await;
    eventually("the batch is in the handler", || !hanging.seen().is_empty()).await;
    // As a crash: the stage's task and its handler end at once, nothing is drained or committed.
    stage.abort().await;
    let recorder = Recorder::answering(|_| Outcome::Done);
    let stage = run_stage(log.shared(), &recorder, |_| {}).await;
    eventually("the batch comes again", || recorder.seen().len() == 3).await;
    stage.stop().await;
}

async fn a_refused_event_is_dead_lettered_before_its_offset_passes_and_can_be_replayed(log: Log) {
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    let poison = document(1);
    let recorder =
        Recorder::answering(
            move |(id, _)| {
                if id == poison { Outcome::dead("test", "it is poison") } else { Outcome::Done }
            },
        );
    let mut not_an_event = raw(document(9), 1).into_record();
    not_an_event.value = Some(b"{ not json".to_vec());
    let events = vec![raw(document(0), 1).into_record(), raw(poison, 1).into_record(), not_an_event];
    log.append(events.clone()).await.unwrap();
    log.append(vec![raw(document(2), 1).into_record()]).await.unwrap();
    let stage = run_stage(log.shared(), &recorder, |_| {}).await;
    eventually("the partition moves on", || recorder.seen().iter().any(|(id, _)| *id == document(2))).await;
    let committed = || async { log.committed("twin.test", RAW).await.unwrap().get(&0).copied() };
    while committed().await != Some(4) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let letters = DeadLetters::new(log.shared());
    let list = letters.list(Some(RAW), 10).await.unwrap();
    assert_eq!(list.len(), 2);
    let letter = list.iter().find(|letter| letter.class == "test").unwrap();
    assert_eq!((letter.stage.as_str(), letter.message.as_str()), ("test", "it is poison"));
    assert_eq!((letter.original.offset, letter.attempts), (1, 1));
    assert_eq!((&letter.key, &letter.value), (&events[1].key, &events[1].value));
    assert_eq!(letter.headers, events[1].headers);
    assert_eq!(list.iter().filter(|letter| letter.class == "decode").count(), 1);

    let position = letters.replay(&letter.id).await.unwrap().unwrap();
    assert_eq!(position.offset, 4);
    let twice = || recorder.seen().iter().filter(|(id, _)| *id == poison).count() == 2;
    eventually("the replayed event is handed in", twice).await;
    assert!(letters.get(&letter.id).await.unwrap().unwrap().replayed);
    assert_eq!(letters.replay("twin.documents.raw.v1:999").await.unwrap(), None);
    stage.stop().await;
}

async fn a_panic_is_pinned_to_its_event(log: Log) {
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    log.append((0..5).map(|n| raw(document(n), 1).into_record()).collect()).await.unwrap();
    let recorder = Recorder::answering(|(id, _)| {
        assert!(id != document(3), "three is too much");
        Outcome::Done
    });
    let stage = run_stage(log.shared(), &recorder, |_| {}).await;
    let letters = DeadLetters::new(log.shared());
    loop {
        let list = letters.list(Some(RAW), 10).await.unwrap();
        if let [letter] = list.as_slice() {
            assert_eq!((letter.class.as_str(), letter.original.offset), ("panic", 3));
            assert!(letter.message.contains("three is too much"), "{}", letter.message);
            break;
        }
        assert!(list.is_empty(), "only the culprit is dead-lettered: {list:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage.stop().await;
    assert_eq!(log.committed("twin.test", RAW).await.unwrap()[&0], 5);
}

async fn a_passing_failure_is_tried_again_and_holds_back_the_offset(log: Log) {
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    let failing = Arc::new(Signal::default());
    let handler_failing = failing.clone();
    let recorder = Recorder::answering(move |(id, _)| {
        if id == document(0) && !handler_failing.is_set() { Outcome::retry("test", "not yet") } else { Outcome::Done }
    });
    log.append((0..3).map(|n| raw(document(n), 1).into_record()).collect()).await.unwrap();
    let stage = run_stage(log.shared(), &recorder, |_| {}).await;
    let tries = || recorder.seen().iter().filter(|(id, _)| *id == document(0)).count();
    eventually("it is tried again", || tries() >= 3).await;
    assert_eq!(log.committed("twin.test", RAW).await.unwrap().get(&0), None);
    failing.set();
    while log.committed("twin.test", RAW).await.unwrap().get(&0) != Some(&3) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage.stop().await;
}

async fn a_slow_handler_pauses_its_partition_and_loses_nothing(log: Log) {
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    log.append((0..60).map(|n| raw(document(n), 1).into_record()).collect()).await.unwrap();
    let recorder = Recorder::answering(|_| Outcome::Done).taking(Duration::from_millis(20));
    let stage = run_stage(log.shared(), &recorder, |options| {
        options.queued_events = 8;
        options.batch.count = 2;
    })
    .await;
    eventually("the partition is paused", || stage.metric("twin_stage_paused_partitions") == Some(1.0)).await;
    eventually("all events are handled", || recorder.seen().len() == 60).await;
    eventually("it is resumed", || stage.metric("twin_stage_paused_partitions") == Some(0.0)).await;
    assert!(recorder.largest_batch() <= 2);
    stage.stop().await;
}

async fn an_unordered_stage_works_on_many_events_of_a_partition_at_once(log: Log) {
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    log.append((0..8).map(|n| raw(document(n), 1).into_record()).collect()).await.unwrap();
    let recorder = Recorder::answering(|_| Outcome::Done).meeting(4);
    let stage = run_stage(log.shared(), &recorder, |options| options.order = Order::None { in_flight: 4 }).await;
    // Four handlers wait for each other: in order, not one of them would end.
    eventually("all events are handled", || recorder.finished() == 8).await;
    stage.stop().await;
    assert_eq!(log.committed("twin.test", RAW).await.unwrap()[&0], 8);
}

async fn lag_is_what_a_group_has_yet_to_commit(log: Log) {
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    log.append((0..7).map(|n| raw(document(n), 1).into_record()).collect()).await.unwrap();
    let hanging = Recorder::hanging();
    let stage = run_stage(log.shared(), &hanging, |_| {}).await;
    eventually("the lag is seen", || stage.metric("twin_stage_lag_events") == Some(7.0)).await;
    stage.abort().await;
    let recorder = Recorder::answering(|_| Outcome::Done);
    let stage = run_stage(log.shared(), &recorder, |_| {}).await;
    eventually("it goes down", || recorder.seen().len() == 7 && stage.metric("twin_stage_lag_events") == Some(0.0))
        .await;
    stage.stop().await;
}

#[tokio::test]
async fn what_a_stage_emits_is_in_the_next_topic_before_the_offset_passes() {
    let log = Log::sqlite().await;
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    let recorder = Recorder::answering(|(id, revision)| {
        if revision == Revision(2) {
            return Outcome::Emit(vec![NewEvent::tombstone::<CleanedDocument>("test", id, revision)]);
        }
        Outcome::Emit(vec![NewEvent::document("test", id, revision, &cleaned(id, revision))])
    });
    log.append(vec![raw(document(1), 1).into_record()]).await.unwrap();
    log.append(vec![NewEvent::tombstone::<RawDocument>("test", document(1), Revision(2)).into_record()]).await.unwrap();
    let stage = run_stage(log.shared(), &recorder, |_| {}).await;
    let cleaned = Recorder::<CleanedDocument>::reading(|_| Outcome::Done);
    let next = stage_named("next", log.shared(), &cleaned, |_| {}).await;
    eventually("both are emitted", || cleaned.seen().len() == 2).await;
    assert_eq!(cleaned.seen(), [(document(1), Revision(1)), (document(1), Revision(2))]);
    assert_eq!(cleaned.tombstones(), [false, true]);
    stage.stop().await;
    next.stop().await;
    assert_eq!(dead_letter_topic(Topic::DocumentsRaw.name()), "twin.documents.raw.v1.dlq");
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
