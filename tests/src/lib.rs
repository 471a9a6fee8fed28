//! End-to-end tests: what a user sees of the real `twin` binary, over REST and over the command line.
//!
//! In: the binary (`TWIN_BIN`, or that of the same build), the models and the servers that the scripts install. Out:
//! the tests in `tests/`; this library has what they share: a client ([`Api`]), a started twin ([`start`],
//! [`Shared`], [`Twins`]), content to collect ([`Folder`], [`Repository`]) and waiting with a deadline ([`eventually`]).
//!
//! Promised: a test waits for conditions, never for time to pass; what it asserts does not hang on the quality of an
//! answer; tests that share a twin each have an author of their own.
//!
//! Not done here: mocks. What one crate promises by itself is tested in that crate.

mod api;
mod author;
mod content;
mod exposition;
mod freeze;
mod history;
mod llm;
mod load;
mod python;
mod reader;
mod redelivered;
mod report;
mod repository;
mod room;
pub mod school;
mod smaller_model;
mod split;
mod stored;
mod trial;
mod twin;
mod twins;
mod usage;
mod wait;

pub use api::{Answer, Api, Event};
pub use author::Author;
pub use content::{Folder, TOPICS, Topic, note};
pub use exposition::Exposition;
pub use freeze::freeze;
pub use history::{Change, History};
pub use llm::{Llm, Script};
pub use load::{Load, Told, p99};
pub use python::python;
pub use reader::Reader;
pub use redelivered::{append_again, records};
pub use report::report;
pub use repository::Repository;
pub use room::{bound, bounded};
pub use smaller_model::smaller_model;
pub use split::Split;
pub use stored::Stored;
pub use trial::{Past, Trial, quick, quick_broker, times};
pub use twin::{Shared, author, fast_answers, start};
pub use twins::Twins;
pub use usage::{Usage, disk_mb};
pub use wait::{DEADLINE, eventually, within};
