//! A cluster of three brokers loses one, then a second, while events are appended: what was acknowledged is there, once
//! and in order, and what can not be acknowledged waits until it can.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Recorder, Signal, document, eventually, raw, run_stage};
use twin_kafka::{KafkaLog, KafkaOptions};
use twin_schemas::DocumentId;
use twin_stack::{Kafka, KafkaCluster, KafkaOptions as BrokerOptions};
use twin_stream::{EventLog, Outcome, TopicSpec};

const RAW: &str = "twin.documents.raw.v1";
const DOCUMENTS: u128 = 10;
/// What must not happen needs time not to.
const WHILE: Duration = Duration::from_secs(3);

/// One who appends revision after revision of each document. Cheap to clone.
#[derive(Clone)]
struct Producer {
    log: Arc<dyn EventLog>,
    /// The newest revision of which every event is acknowledged.
    acknowledged: Arc<AtomicU64>,
    enough: Arc<Signal>,
}

impl Producer {
    /// Appends until it is enough; what was refused again, as the outbox does.
    async fn run(self) {
        while !self.enough.is_set() {
            let revision = self.acknowledged() + 1;
            let records: Vec<_> = (0..DOCUMENTS).map(|number| raw(document(number), revision).into_record()).collect();
            while let Err(error) = self.log.append(records.clone()).await {
                assert!(error.is_transient(), "{error}");
            }
            self.acknowledged.store(revision, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    async fn goes_on(&self, how: &str) {
        let before = self.acknowledged();
        eventually(how, || self.acknowledged() >= before + 20).await;
    }
}

/// Blocking work of the cluster, off the runtime's threads.
async fn with<T: Send + 'static>(
    cluster: &Arc<KafkaCluster>,
    work: impl FnOnce(&KafkaCluster) -> T + Send + 'static,
) -> T {
    let cluster = cluster.clone();
    tokio::task::spawn_blocking(move || work(&cluster)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_brokers_may_die_and_with_two_dead_appends_wait() {
    let options = BrokerOptions { heap_mib: 384, ..BrokerOptions::default() };
    let cluster = tokio::task::spawn_blocking(move || KafkaCluster::start(3, &options)).await.unwrap();
    let cluster = Arc::new(cluster.unwrap());
    let options = KafkaOptions { brokers: cluster.bootstrap(), ..KafkaOptions::default() };
    let log = Arc::new(KafkaLog::connect(options).await.unwrap());
    log.ensure_topics(&TopicSpec::all(3)).await.unwrap();
    let producer = Producer { log: log.clone(), acknowledged: Arc::default(), enough: Arc::default() };
    let appending = tokio::spawn(producer.clone().run());
    producer.goes_on("events are appended").await;

    let killed = Instant::now();
    with(&cluster, |cluster| cluster.leader(RAW, 0).and_then(Kafka::kill).unwrap()).await;
    producer.goes_on("the cluster goes on with two").await;
    assert!(killed.elapsed() < Duration::from_secs(30), "it took {:?}", killed.elapsed());

    with(&cluster, |cluster| cluster.leader(RAW, 0).and_then(Kafka::kill).unwrap()).await;
    // One batch may have been acknowledged just before.
    tokio::time::sleep(WHILE).await;
    let waiting = producer.acknowledged();
    tokio::time::sleep(WHILE).await;
    assert_eq!(producer.acknowledged(), waiting, "one broker of three acknowledges nothing");

    with(&cluster, |cluster| cluster.restart_dead().unwrap()).await;
    producer.goes_on("the cluster goes on when they are back").await;
    producer.enough.set();
    appending.await.unwrap();

    let recorder = Recorder::answering(|_| Outcome::Done);
    let stage = run_stage(log, &recorder, |_| {}).await;
    let expected = producer.acknowledged() as usize * DOCUMENTS as usize;
    eventually("everything acknowledged is read", || recorder.seen().len() >= expected).await;
    stage.stop().await;
    let mut newest: HashMap<DocumentId, u64> = HashMap::new();
    for (id, revision) in recorder.seen() {
        let newest = newest.entry(id).or_default();
        assert_eq!(revision.0, *newest + 1, "{id}: out of order, lost or there twice");
        *newest = revision.0;
    }
}
