//! The cleaner: from a document as a source gave it to text that is fit to be read by people and models.
//!
//! In: [`RawDocument`](twin_schemas::RawDocument) events. Out: for each one
//! [`CleanedDocument`](twin_schemas::CleanedDocument), a tombstone passed on, or a rejection that is noted in the
//! warehouse with its reason and ends that revision (an earlier good one stays searchable).
//!
//! Promises: source code passes byte for byte; headings, lists, tables and code blocks of prose survive; entities
//! are decoded once; what a person would not see (hidden elements, comments, zero-width, bidirectional-control and tag
//! characters) is gone from prose; cleaning the output of an HTML document again as Markdown changes nothing; no
//! input, however it is nested, holds a thread past the deadline unnoticed. The work is done by the pure function
//! [`clean`], the rest of the crate is the stage around it.
//!
//! Deliberately not here: splitting into chunks (`processors/chunker`), fetching and decoding of bytes and the removal
//! of front matter (`producers/crawler`), detection of near duplicates, and any rewriting of what the author said.

mod characters;
mod clean;
mod gate;
mod handler;
mod html;
mod markdown;
mod metrics;
mod options;
mod processor_time;
mod rejection;
mod walls;
mod workers;

pub use clean::clean;
pub use handler::Cleaner;
pub use options::Options;
pub use rejection::{Rejection, RejectionKind};
