//! Consumers of a stage come and go under load, however Kafka deals the partitions to them: every event is worked on,
//! those of a document in their order, and no offset passes one that was not.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Recorder, Running, Signal, document, eventually, raw, run_stage};
use tokio::task::JoinHandle;
use twin_kafka::{AssignmentStrategy, KafkaLog, KafkaOptions};
use twin_schemas::{DocumentId, Revision};
use twin_stack::Kafka;
use twin_stream::{EventLog, Outcome, Position, TopicSpec};

const RAW: &str = "twin.documents.raw.v1";
const PARTITIONS: u32 = 6;
const DOCUMENTS: u128 = 24;
/// So many events wait at any time that every partition is paused now and then.
const BACKLOG: usize = 400;

type Event = (DocumentId, Revision);

/// A stage's consumers, and what they are given to do.
struct Group {
    log: Arc<dyn EventLog>,
    /// Where each event is.
    appended: Mutex<HashMap<Event, Position>>,
    /// Events in the order in which consumers finished them.
    worked: Arc<Mutex<Vec<Event>>>,
    /// What was committed, and how many events had been finished right after that.
    commits: Mutex<Vec<(BTreeMap<u32, u64>, usize)>>,
    enough: Signal,
    _broker: Kafka,
}

impl Group {
    async fn start(assignment_strategy: AssignmentStrategy) -> Arc<Self> {
        // Heartbeats are a quarter of that, and bring the news that the group has changed.
        let session_timeout_ms = 2_000;
        let properties = vec![("group.min.session.timeout.ms".to_owned(), session_timeout_ms.to_string())];
        let options = twin_stack::KafkaOptions { properties, ..twin_stack::KafkaOptions::default() };
        let broker = tokio::task::spawn_blocking(|| Kafka::start(options)).await.unwrap().unwrap();
        let brokers = broker.bootstrap().to_owned();
        let options = KafkaOptions { brokers, assignment_strategy, session_timeout_ms, ..KafkaOptions::default() };
        let log = Arc::new(KafkaLog::connect(options).await.unwrap());
        log.ensure_topics(&TopicSpec::all(PARTITIONS)).await.unwrap();
        let (appended, commits) = (Mutex::default(), Mutex::default());
        Arc::new(Self { log, appended, worked: Arc::default(), commits, enough: Signal::default(), _broker: broker })
    }

    /// One more consumer, once it has done something.
    async fn join(&self) -> Running {
        let working = Arc::new(Signal::default());
        let stage = self.begin_to_join(working.clone()).await;
        eventually("the new consumer works", || working.is_set()).await;
        stage
    }

    /// One more consumer, that has not joined the group yet. It says when it has done something.
    async fn begin_to_join(&self, working: Arc<Signal>) -> Running {
        let worked = self.worked.clone();
        let recorder = Recorder::answering(move |event| {
            worked.lock().unwrap().push(event);
            working.set();
            Outcome::Done
        });
        let recorder = recorder.taking(Duration::from_millis(10));
        run_stage(self.log.clone(), &recorder, |options| {
            options.queued_events = 8;
            options.batch.count = 2;
        })
        .await
    }

    /// Appends revision after revision of each document, never more than can be worked on soon. Those of a document are
    /// neighbours, so that they are in one batch and on both sides of a border between batches.
    async fn append_until_enough(self: Arc<Self>) {
        for first in (1..).step_by(3) {
            if self.enough.is_set() {
                return;
            }
            let three = |number| (first..first + 3).map(move |revision| (document(number), Revision(revision)));
            let events: Vec<Event> = (0..DOCUMENTS).flat_map(three).collect();
            let records = events.iter().map(|(id, revision)| raw(*id, revision.0).into_record()).collect();
            let positions = self.log.append(records).await.unwrap();
            self.appended.lock().unwrap().extend(events.into_iter().zip(positions));
            while self.waiting() > BACKLOG {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    fn waiting(&self) -> usize {
        let worked: HashSet<Event> = self.worked.lock().unwrap().iter().copied().collect();
        self.appended.lock().unwrap().keys().filter(|event| !worked.contains(event)).count()
    }

    async fn watch_commits(self: Arc<Self>) {
        loop {
            // While the group changes hands there may be no answer.
            if let Ok(committed) = self.log.committed("twin.test", RAW).await {
                let worked = self.worked.lock().unwrap().len();
                self.commits.lock().unwrap().push((committed, worked));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until all that is there now has been worked on, whatever comes meanwhile. Returns how much has by then.
    async fn goes_on(&self) -> usize {
        let until = self.appended.lock().unwrap().keys().map(|(_, revision)| *revision).max().unwrap();
        eventually("every partition goes on", || {
            let mut newest: HashMap<DocumentId, Revision> = HashMap::new();
            for (id, revision) in self.worked.lock().unwrap().iter() {
                let known = newest.entry(*id).or_insert(*revision);
                *known = (*known).max(*revision);
            }
            newest.len() == DOCUMENTS as usize && newest.values().all(|revision| *revision >= until)
        })
        .await;
        self.worked.lock().unwrap().len()
    }

    fn check_order(&self) {
        let mut newest: HashMap<DocumentId, u64> = HashMap::new();
        for (id, revision) in self.worked.lock().unwrap().iter() {
            let newest = newest.entry(*id).or_default();
            assert!(revision.0 <= *newest + 1, "revision {} of {id} was worked on after {newest}", revision.0);
            *newest = revision.0.max(*newest);
        }
    }

    /// Only what a consumer had under way when it died may have been worked on twice.
    fn check_repetitions(&self, death: std::ops::Range<usize>) {
        let worked = self.worked.lock().unwrap();
        let mut known = HashSet::new();
        for (index, event) in worked.iter().enumerate() {
            let is_new = known.insert(*event);
            assert!(is_new || death.contains(&index), "{event:?} was worked on twice, at {index}; death was {death:?}");
        }
    }

    fn check_commits(&self) {
        let worked = self.worked.lock().unwrap();
        let mut finished: HashMap<Event, usize> = HashMap::new();
        for (index, event) in worked.iter().enumerate() {
            finished.entry(*event).or_insert(index);
        }
        let appended = self.appended.lock().unwrap();
        let commits = self.commits.lock().unwrap();
        assert!(commits.len() > 10, "commits were looked at only {} times", commits.len());
        for (committed, worked) in commits.iter() {
            for (event, position) in appended.iter() {
                let passed = committed.get(&position.partition.partition).is_some_and(|next| position.offset < *next);
                let done = finished.get(event).is_some_and(|index| index < worked);
                assert!(done || !passed, "{committed:?} passes {event:?} at {position}, which nobody has worked on");
            }
        }
    }
}

async fn come_and_go(strategy: AssignmentStrategy) {
    let group = Group::start(strategy).await;
    let appending: JoinHandle<()> = tokio::spawn(group.clone().append_until_enough());
    let watching = tokio::spawn(group.clone().watch_commits());
    let first = group.join().await;
    let second = group.join().await;
    group.goes_on().await;
    // What it takes over comes back to those from whom it was taken while they had more than they could do.
    let third = group.join().await;
    group.goes_on().await;
    third.stop().await;
    group.goes_on().await;
    let fourth = group.join().await;
    first.stop().await;
    let before_death = group.goes_on().await;
    second.abort().await;
    let after_death = group.goes_on().await;
    let fifth = group.join().await;
    group.goes_on().await;
    fourth.stop().await;
    group.goes_on().await;
    group.enough.set();
    appending.await.unwrap();
    eventually("everything is worked on", || group.waiting() == 0).await;
    fifth.stop().await;
    watching.abort();

    group.check_order();
    group.check_repetitions(before_death..after_death);
    group.check_commits();
    let ends = group.log.watermarks(RAW).await.unwrap();
    let ends: BTreeMap<u32, u64> = ends.into_iter().map(|(partition, ends)| (partition, ends.end)).collect();
    assert_eq!(group.log.committed("twin.test", RAW).await.unwrap(), ends);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_that_come_and_go_pass_over_nothing_cooperative_sticky() {
    come_and_go(AssignmentStrategy::CooperativeSticky).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_that_come_and_go_pass_over_nothing_range() {
    come_and_go(AssignmentStrategy::Range).await;
}

/// It has given up a part of its partitions, and waits for the others to be dealt those: no commit passes meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_stops_while_partitions_are_dealt_anew_leaves_nothing_to_repeat() {
    let group = Group::start(AssignmentStrategy::CooperativeSticky).await;
    let appending: JoinHandle<()> = tokio::spawn(group.clone().append_until_enough());
    let mut stopping = group.join().await;
    for _ in 0..5 {
        let next = group.begin_to_join(Arc::default()).await;
        eventually("partitions are taken away", || {
            stopping.metric("twin_stage_partitions").is_some_and(|count| count < f64::from(PARTITIONS))
        })
        .await;
        stopping.stop().await;
        group.goes_on().await;
        stopping = next;
    }
    group.enough.set();
    appending.await.unwrap();
    eventually("everything is worked on", || group.waiting() == 0).await;
    stopping.stop().await;
    group.check_order();
    group.check_repetitions(0..0);
}
