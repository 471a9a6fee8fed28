//! What stages and publishers make of a Kafka cluster that fails, and of consumers that come and go. One executable, so
//! that these tests, which wait for servers most of the time, run two at once.

mod broker_loss;
mod credentials;
mod kafka_faults;
mod rebalances;
#[allow(dead_code, reason = "the contract uses the rest of it")]
#[path = "../contract/support.rs"]
mod support;
