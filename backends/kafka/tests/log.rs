//! What `EventLog` promises, over a real broker.

use std::sync::Arc;

use twin_kafka::{KafkaLog, KafkaOptions};
use twin_stack::Kafka;
use twin_stream::{EventLog, log_contract};

struct Place {
    log: Arc<KafkaLog>,
    _broker: Kafka,
}

impl Place {
    fn log(&self) -> Arc<dyn EventLog> {
        self.log.clone()
    }
}

async fn open() -> Place {
    let broker = tokio::task::spawn_blocking(|| Kafka::start(twin_stack::KafkaOptions::default())).await.unwrap();
    let broker = broker.unwrap();
    let brokers = broker.bootstrap().to_owned();
    let log = KafkaLog::connect(KafkaOptions { brokers, max_value_bytes: 100_000, ..KafkaOptions::default() });
    Place { log: Arc::new(log.await.unwrap()), _broker: broker }
}

log_contract!(open);
