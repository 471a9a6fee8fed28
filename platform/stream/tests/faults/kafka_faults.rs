//! What a stage does when its Kafka cluster loses records, topics or itself.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Recorder, Signal, document, eventually, raw, run_stage};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset, TopicPartitionList};
use twin_kafka::{KafkaLog, KafkaOptions};
use twin_stack::Kafka;
use twin_stream::{Consumer, DeadLetters, Delivery, EventLog, NewRecord, Outcome, TopicPartition, TopicSpec};

const RAW: &str = "twin.documents.raw.v1";

struct Cluster {
    broker: Arc<Kafka>,
    log: Arc<dyn EventLog>,
}

impl Cluster {
    async fn start() -> Self {
        let broker = tokio::task::spawn_blocking(|| Kafka::start(twin_stack::KafkaOptions::default())).await.unwrap();
        let broker = Arc::new(broker.unwrap());
        let options = KafkaOptions { brokers: broker.bootstrap().to_owned(), ..KafkaOptions::default() };
        let log = Arc::new(KafkaLog::connect(options).await.unwrap());
        log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
        Self { broker, log }
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", self.broker.bootstrap()).create().unwrap()
    }

    async fn delete_topic(&self, name: &str) {
        self.admin().delete_topics(&[name], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
        // The broker removes it a little later; until then it can not be made again.
        loop {
            let client = self.admin();
            let name = name.to_owned();
            let gone = tokio::task::spawn_blocking(move || {
                let metadata = client.inner().fetch_metadata(None, Duration::from_secs(5)).unwrap();
                !metadata.topics().iter().any(|topic| topic.name() == name)
            });
            if gone.await.unwrap() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The broker forgets everything before an offset, as retention does.
    async fn expire(&self, topic: &str, before: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, 0, Offset::Offset(before)).unwrap();
        let result = self.admin().delete_records(&offsets, &AdminOptions::new()).await.unwrap();
        for partition in result.elements() {
            partition.error().unwrap();
        }
    }

    async fn append(&self, documents: std::ops::Range<u128>) {
        let records = documents.map(|number| raw(document(number), 1).into_record()).collect();
        self.log.append(records).await.unwrap();
    }

    /// What the group has committed; none also while the broker looks for the group's coordinator.
    async fn committed(&self) -> Option<u64> {
        self.log.committed("twin.test", RAW).await.ok()?.get(&0).copied()
    }

    async fn until_committed(&self, offset: u64) {
        let waiting = async {
            while self.committed().await != Some(offset) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(60), waiting).await;
        assert!(in_time.is_ok(), "{:?} is committed and not {offset}", self.committed().await);
    }
}

/// Which of the documents a recorder was given, each once.
fn numbers(recorder: &Recorder) -> Vec<u128> {
    let mut numbers: Vec<u128> = recorder.seen().iter().map(|(id, _)| id.0.as_u128() - 1).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Offsets of the next records, to the one that is asked for.
async fn offsets_to(consumer: &mut Box<dyn Consumer>, last: u64) -> Vec<u64> {
    let mut offsets = Vec::new();
    let reading = async {
        while offsets.last() != Some(&last) {
            if let Delivery::Records(records) = consumer.next().await.unwrap() {
                offsets.extend(records.iter().map(|record| record.position.offset));
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), reading).await;
    assert!(in_time.is_ok(), "only {offsets:?} came");
    offsets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_expired_before_they_were_read_are_passed_over_and_none_after_them_is() {
    let cluster = Cluster::start().await;
    let topic = "test.expiring".to_owned();
    let cleanup = twin_schemas::Cleanup::Delete(Duration::from_secs(3600));
    let spec = TopicSpec { name: topic.clone(), partitions: 1, cleanup };
    cluster.log.ensure_topics(&[spec]).await.unwrap();
    let record = |number: u8| NewRecord {
        topic: topic.clone(),
        key: vec![number],
        value: Some(vec![number]),
        headers: Vec::new(),
    };
    cluster.log.append((0..5).map(record).collect()).await.unwrap();
    let mut consumer = cluster.log.subscribe("slow", &[&topic]).await.unwrap();
    assert_eq!(offsets_to(&mut consumer, 4).await, (0..5).collect::<Vec<_>>());
    let partition = TopicPartition { topic: topic.as_str().into(), partition: 0 };
    consumer.commit(&[(partition, 5)]).await.unwrap();
    consumer.close().await;
    cluster.log.append((5..20).map(record).collect()).await.unwrap();
    cluster.expire(&topic, 12).await;
    let mut consumer = cluster.log.subscribe("slow", &[&topic]).await.unwrap();
    assert_eq!(offsets_to(&mut consumer, 19).await, (12..20).collect::<Vec<_>>());
    consumer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_deleted_and_made_again_is_read_from_its_start() {
    let cluster = Cluster::start().await;
    cluster.append(0..20).await;
    let recorder = Recorder::answering(|_| Outcome::Done);
    let stage = run_stage(cluster.log.clone(), &recorder, |_| {}).await;
    cluster.until_committed(20).await;
    stage.stop().await;
    cluster.delete_topic(RAW).await;
    cluster.log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    // Fewer than the group has committed: its place is beyond the end.
    cluster.append(100..105).await;
    let stage = run_stage(cluster.log.clone(), &recorder, |_| {}).await;
    eventually("the new records are read", || numbers(&recorder).contains(&104)).await;
    cluster.until_committed(5).await;
    assert_eq!(numbers(&recorder), (0..20).chain(100..105).collect::<Vec<_>>());
    cluster.append(105..107).await;
    eventually("and those after them", || numbers(&recorder).contains(&106)).await;
    cluster.until_committed(7).await;
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_event_holds_back_its_partition_while_there_is_no_dead_letter_topic() {
    let cluster = Cluster::start().await;
    cluster.delete_topic(&twin_schemas::dead_letter_topic(RAW)).await;
    cluster.append(0..3).await;
    let poison = document(1);
    let recorder = Recorder::answering(move |(id, _)| match id == poison {
        true => Outcome::dead("test", "it is poison"),
        false => Outcome::Done,
    });
    let stage = run_stage(cluster.log.clone(), &recorder, |_| {}).await;
    eventually("the poison is handed in", || numbers(&recorder).contains(&1)).await;
    // There is nothing to wait for: what must not happen needs time not to.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(cluster.committed().await <= Some(1), "its offset passed although it was put nowhere");
    cluster.log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    cluster.until_committed(3).await;
    assert_eq!(DeadLetters::new(cluster.log.clone()).list(Some(RAW), None, 10).await.unwrap().letters.len(), 1);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_comes_back_and_nothing_is_lost() {
    let cluster = Cluster::start().await;
    cluster.append(0..10).await;
    let recorder = Recorder::answering(|_| Outcome::Done);
    let stage = run_stage(cluster.log.clone(), &recorder, |_| {}).await;
    eventually("the first are read", || numbers(&recorder).len() == 10).await;
    cluster.broker.kill().unwrap();
    // An append waits for the broker; it is not lost and not refused.
    let appended = Arc::new(Signal::default());
    let (log, done) = (cluster.log.clone(), appended.clone());
    let appending = tokio::spawn(async move {
        let records = (10..20).map(|number| raw(document(number), 1).into_record()).collect();
        log.append(records).await.map(|_| done.set())
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!appended.is_set());
    let broker = cluster.broker.clone();
    tokio::task::spawn_blocking(move || broker.restart()).await.unwrap().unwrap();
    appending.await.unwrap().unwrap();
    eventually("the rest is read", || numbers(&recorder).len() == 20).await;
    cluster.until_committed(20).await;
    stage.stop().await;
}
