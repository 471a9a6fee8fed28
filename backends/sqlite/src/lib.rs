//! Everything in one SQLite file: the embedded mode's event log, warehouse, corpus, vector index, registry and leases.
//!
//! Each module is one port's implementation: its tables with their migrations, and the port's methods over them. What
//! they share is the [`Database`]. A failure of SQLite leaves here as the port's own error, which says whether it passes.
//!
//! Deliberately not here: what the ports promise (the crates under `platform/`), and which of them a process uses
//! (`twin/src/run/stores.rs`).

mod corpus;
mod database;
mod failure;
mod leases;
mod log;
mod registry;
mod vectors;
mod warehouse;

pub use corpus::SqliteCorpus;
pub use database::{Database, Error, Migration, migrate, testing};
pub use leases::SqliteLeases;
pub use log::SqliteLog;
pub use registry::{SqliteRegistry, registry};
pub use rusqlite;
pub use vectors::SqliteVectors;
pub use warehouse::SqliteWarehouse;

use failure::Failure;
