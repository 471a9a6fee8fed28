//! What a stage promises to its handler, over any event log.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use twin_schemas::{CleanedDocument, DocumentId, RawDocument, Revision, Topic, dead_letter_topic};
use twin_stream::testing::{Watch, Watched};
use twin_stream::{DeadLetters, NewEvent, Order, Outcome, TopicSpec};

use crate::support::{Log, Recorder, Signal, cleaned, document, eventually, raw, run_stage, stage_named};

const RAW: &str = "twin.documents.raw.v1";

over_both_logs!(
    a_stage_hands_in_every_event_in_order_for_each_key,
    a_stage_that_restarts_goes_on_without_repeating,
    a_stage_cut_off_in_mid_batch_is_given_the_batch_again,
    a_refused_event_is_dead_lettered_before_its_offset_passes_and_can_be_replayed,
    a_panic_is_pinned_to_its_event,
    a_passing_failure_is_tried_again_and_holds_back_the_offset,
    an_event_that_waits_for_a_store_is_never_given_up_and_one_that_fails_is,
    time_spent_waiting_does_not_count_as_failing,
    a_slow_handler_pauses_its_partition_and_loses_nothing,
    an_unordered_stage_works_on_many_events_of_a_partition_at_once,
    lag_is_what_a_group_has_yet_to_commit,
);

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
    let list = letters.list(Some(RAW), None, 10).await.unwrap().letters;
    assert_eq!(list.len(), 2);
    let letter = list.iter().find(|letter| letter.class == "test").unwrap();
    assert_eq!((letter.stage.as_str(), letter.message.as_str()), ("test", "it is poison"));
    assert_eq!((letter.original.offset, letter.attempts), (1, 1));
    assert_eq!((&letter.key, &letter.value), (&events[1].key, &None), "a list is without values");
    let shown = letters.get(&letter.id).await.unwrap().unwrap();
    assert_eq!((&shown.key, &shown.value, shown.replayed), (&events[1].key, &events[1].value, false));
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
        let list = letters.list(Some(RAW), None, 10).await.unwrap().letters;
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

async fn an_event_that_waits_for_a_store_is_never_given_up_and_one_that_fails_is(log: Log) {
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    let back = Arc::new(Signal::default());
    let store = back.clone();
    let recorder = Recorder::answering(move |(id, _)| match id {
        id if id == document(0) && !store.is_set() => Outcome::wait("store", "it is away"),
        id if id == document(1) => Outcome::retry("test", "it fails"),
        _ => Outcome::Done,
    });
    log.append((0..3).map(|n| raw(document(n), 1).into_record()).collect()).await.unwrap();
    let stage = run_stage(log.shared(), &recorder, |options| options.retry.give_up_after_s = 0).await;
    let tries = |number| recorder.seen().iter().filter(|(id, _)| *id == document(number)).count();
    eventually("it is tried again and again", || tries(0) >= 5).await;
    assert_eq!(stage.metric("twin_stage_waiting_events"), Some(1.0));
    assert_eq!(tries(1), 1);
    let letters = DeadLetters::new(log.shared());
    let dead = async || -> Vec<u64> {
        let letters = letters.list(Some(RAW), None, 10).await.unwrap().letters;
        letters.into_iter().map(|letter| letter.original.offset).collect()
    };
    assert_eq!(dead().await, [1]);
    back.set();
    eventually("nothing waits any more", || stage.metric("twin_stage_waiting_events") == Some(0.0)).await;
    stage.stop().await;
    assert_eq!(dead().await, [1], "the one that waited was done");
    assert_eq!(log.committed("twin.test", RAW).await.unwrap().get(&0), Some(&3));
}

async fn time_spent_waiting_does_not_count_as_failing(log: Log) {
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    let (started, answers) = (Instant::now(), AtomicUsize::new(0));
    // It fails, then its store is away for longer than failures may last, and then it fails once more.
    let recorder = Recorder::answering(move |_| match answers.fetch_add(1, Ordering::SeqCst) {
        0 => Outcome::retry("test", "it fails"),
        _ if started.elapsed() < Duration::from_millis(1_500) => Outcome::wait("store", "it is away"),
        given if given < 100_000 => {
            answers.store(100_000, Ordering::SeqCst);
            Outcome::retry("test", "it fails")
        }
        _ => Outcome::Done,
    });
    log.append(vec![raw(document(0), 1).into_record()]).await.unwrap();
    let stage = run_stage(log.shared(), &recorder, |options| options.retry.give_up_after_s = 1).await;
    let is_committed = async || match log.committed("twin.test", RAW).await {
        Ok(committed) => committed.get(&0) == Some(&1),
        // A broker that has just started has no coordinator for the group yet.
        Err(error) => {
            assert!(error.is_transient(), "{error}");
            false
        }
    };
    while !is_committed().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stage.stop().await;
    assert!(DeadLetters::new(log.shared()).list(Some(RAW), None, 10).await.unwrap().letters.is_empty());
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

/// How often a consumer was asked for what comes next.
#[derive(Default)]
struct Asked(AtomicUsize);

impl Watch for Asked {
    fn asked(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_stage_that_has_committed_everything_asks_the_log_once_and_waits() {
    let log = Log::sqlite().await;
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    log.append(vec![raw(document(1), 1).into_record()]).await.unwrap();
    let asked = Arc::new(Asked::default());
    let recorder = Recorder::answering(|_| Outcome::Done);
    let watched = Arc::new(Watched::new(log.shared(), asked.clone()));
    let stage = run_stage(watched, &recorder, |options| options.commit_every = Duration::from_millis(5)).await;
    while log.committed("twin.test", RAW).await.unwrap().get(&0) != Some(&1) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = asked.0.load(Ordering::SeqCst);
    // The time itself is what is tried: it would have been asked a hundred times.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let more = asked.0.load(Ordering::SeqCst) - before;
    assert!(more <= 2, "asked {more} times for nothing");
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
