//! Real servers and the real binary, for tests.
//!
//! In: what `scripts/kafka` and `scripts/toxiproxy` installed into the cache folder (`TWIN_CACHE`, by default
//! `~/.cache/llm-twin`), and the `twin` binary. Out: processes on loopback with ports and folders of their
//! own, so that any number of tests run beside each other.
//!
//! Promised: a process that is returned is ready; one that does not get ready is an error with the end of
//! its log; it can be killed, stopped and restarted on the same data and port; it dies with the value that
//! owns it, and with the test process however that ends. A server that is not installed is an error that
//! names the command to run: no test is skipped.
//!
//! Not done here: mocks, containers, installation. Only files under `TWIN_CACHE` and temporary folders are
//! touched, and only processes that were started here are ended, by their own id.

mod cluster;
mod kafka;
mod place;
mod process;
mod seat;
mod toxiproxy;
mod twin;

pub use cluster::KafkaCluster;
pub use kafka::{Kafka, KafkaOptions};
pub use place::cache_folder;
pub use toxiproxy::{Toxic, Toxiproxy};
pub use twin::{TwinOptions, TwinProcess, default_binary};
