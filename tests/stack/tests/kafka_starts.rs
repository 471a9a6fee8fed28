//! The broker that other tests rely on starts, keeps its data over a stop and a kill, and is shared.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use twin_stack::{Kafka, KafkaOptions};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Creates topics on first use, for tests that have no admin client at hand (it needs an async runtime).
fn with_automatic_topics() -> KafkaOptions {
    let automatic = ("auto.create.topics.enable".to_owned(), "true".to_owned());
    KafkaOptions { properties: vec![automatic], ..KafkaOptions::default() }
}

fn client(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap());
    config
}

fn produce(kafka: &Kafka, topic: &str, value: &str) {
    let producer: BaseProducer = client(kafka).set("acks", "all").create().unwrap();
    producer.send(BaseRecord::to(topic).key("key").payload(value)).map_err(|(error, _)| error).unwrap();
    producer.flush(TIMEOUT).unwrap();
}

/// The values of a topic from its beginning, `count` of them.
fn consume(kafka: &Kafka, topic: &str, count: usize) -> Vec<String> {
    let consumer: BaseConsumer =
        client(kafka).set("group.id", "reader").set("auto.offset.reset", "earliest").create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let mut values = Vec::new();
    let deadline = Instant::now() + TIMEOUT;
    while values.len() < count {
        assert!(Instant::now() < deadline, "only {values:?} arrived in time");
        // A poll also ends without a message when it has served something else, such as a rebalance.
        if let Some(message) = consumer.poll(Duration::from_secs(1)) {
            values.push(String::from_utf8(message.unwrap().payload().unwrap().to_vec()).unwrap());
        }
    }
    values
}

#[test]
fn a_record_survives_a_kill_and_a_stop_of_the_broker() {
    let kafka = Kafka::start(with_automatic_topics()).unwrap();
    let address = kafka.bootstrap().to_owned();
    produce(&kafka, "survivors", "before the kill");

    kafka.kill().unwrap();
    assert!(kafka.kill().is_err(), "a killed broker can not be killed again");
    kafka.restart().unwrap();
    assert_eq!(kafka.bootstrap(), address);
    produce(&kafka, "survivors", "before the stop");

    kafka.stop().unwrap();
    kafka.restart().unwrap();
    assert_eq!(consume(&kafka, "survivors", 2), ["before the kill", "before the stop"]);
}

#[test]
fn the_options_reach_the_broker() {
    let options = KafkaOptions { message_max_bytes: 10_000, ..with_automatic_topics() };
    let kafka = Kafka::start(options).unwrap();
    produce(&kafka, "small", &"x".repeat(9_000));
    let producer: BaseProducer = client(&kafka).set("message.timeout.ms", "60000").create().unwrap();
    let large = "y".repeat(11_000);
    producer.send(BaseRecord::<str, str>::to("small").payload(&large)).map_err(|(error, _)| error).unwrap();
    producer.flush(TIMEOUT).unwrap();
    produce(&kafka, "small", "after");
    let lengths: Vec<usize> = consume(&kafka, "small", 2).iter().map(String::len).collect();
    assert_eq!(lengths, [9_000, 5], "the large record must be missing");
}

#[test]
fn the_shared_broker_outlives_the_thread_that_first_asked_for_it_and_makes_no_topics_by_itself() {
    let address = thread::spawn(|| Kafka::shared().unwrap().bootstrap().to_owned()).join().unwrap();
    let kafka = Kafka::shared().unwrap();
    assert_eq!(kafka.bootstrap(), address);
    let consumer: BaseConsumer = client(kafka).create().unwrap();
    let metadata = consumer.fetch_metadata(Some("absent"), TIMEOUT).unwrap();
    assert_eq!(metadata.brokers().len(), 1);
    assert!(metadata.topics()[0].error().is_some(), "an unknown topic was made");
}
