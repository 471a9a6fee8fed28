//! Answers live queries.
//!
//! In: [`twin_schemas::QueryEvent`]s. Out: [`twin_schemas::AnswerEvent`]s to the gateway that asked: the passages
//! found, then (for an answer) its text in parts, then the end. Retrieval is hybrid, filtered by the author that
//! the gateway has set, and drops every passage whose revision is not live. Below a score the twin says that it does
//! not know, without asking the model; which score that is, is measured on each author's own texts ([`Calibrator`]). Above
//! it the text is quoted from the passages, or generated from them by a language model: which of the two is told by [`Mode`]
//! and by which model there is. What is searched is the last message of a conversation, or, where that depends on what was
//! said before, a question made of both.
//!
//! What a model writes is checked: it is cut where it begins to repeat itself, each of its sentences that claims something is
//! compared with the passages ([`check`]) as soon as it is complete, while the model writes on, and an answer of which they
//! support too little is replaced by quotations.
//!
//! A query may be delivered again after a crash; its parts then carry a new attempt, and the gateway takes those of one
//! attempt only. A query that nobody waits for any more is not worked on, and one that could not be answered by its
//! deadline, with those that wait before it, is refused at once.
//!
//! Which model answers for whom is what the registry's deployments say: a version is loaded beside the one before, tried,
//! and takes over without an answer being refused or cut.
//!
//! Deliberately not here: HTTP (`consumers/gateway`), what runs the models (`engines/mistral`), and how passages come into
//! the index.

mod answer;
mod calibration;
mod checked;
mod drafting;
mod embed;
mod evidence;
mod follow_up;
mod generate;
mod handler;
mod metrics;
mod mode;
mod models;
mod options;
mod publisher;
mod quoted;
mod quotes;
mod rehearsal;
mod retrieve;
mod support;
mod switch;
mod telling;
#[cfg(test)]
mod testing;
mod thresholds;
mod turns;
mod workers;
mod writing;

pub use calibration::Calibrator;
pub use evidence::Evidence;
pub use handler::Queries;
pub use metrics::SwitchMetrics;
pub use mode::Mode;
pub use models::{Base, Models};
pub use options::{AnswerOptions, LlmOptions, RetrievalOptions};
pub use quotes::{Quotation, Quoted, quote};
pub use rehearsal::{Rehearsal, Rehearsed};
pub use retrieve::{Retrieved, Retriever};
pub use support::check;
pub use switch::{LoadError, Loader, Switcher, VersionLoader};
pub use workers::Workers;
