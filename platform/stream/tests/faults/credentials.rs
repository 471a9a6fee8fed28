//! A cluster that does not let everybody in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use twin_kafka::{KafkaLog, KafkaOptions};
use twin_stack::Kafka;
use twin_stream::{EventLog, TopicSpec};

fn secured() -> Kafka {
    let user = Some(("twin".to_owned(), "right".to_owned()));
    Kafka::start(twin_stack::KafkaOptions { user, ..twin_stack::KafkaOptions::default() }).unwrap()
}

fn options(brokers: String, mechanism: &str, password: &str) -> KafkaOptions {
    let properties = [
        ("security.protocol", "sasl_plaintext"),
        ("sasl.mechanism", mechanism),
        ("sasl.username", "twin"),
        ("sasl.password", password),
    ];
    let properties: BTreeMap<String, String> =
        properties.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    KafkaOptions { brokers, properties, ..KafkaOptions::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_with_the_wrong_password_ends_and_says_what_to_do() {
    let broker = tokio::task::spawn_blocking(secured).await.unwrap();
    for (mechanism, password) in [("PLAIN", "wrong"), ("SCRAM-SHA-256", "right")] {
        let began = Instant::now();
        let refused = KafkaLog::connect(options(broker.secured(), mechanism, password)).await;
        let error = refused.err().expect("it was let in");
        assert!(!error.is_transient(), "{error}");
        assert!(error.to_string().contains("sasl.password"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(30), "it took {:?}", began.elapsed());
    }
    let log = KafkaLog::connect(options(broker.secured(), "PLAIN", "right")).await.unwrap();
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
}
