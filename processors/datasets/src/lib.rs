//! Datasets: an author's cleaned documents into versions that a model is trained on and compared by.
//!
//! In: cleaned documents, kept in the corpus ([`twin_corpus`]) as the newest revision of each. Out: a version, which is a
//! [`twin_schemas::DatasetManifest`] and files named by their content ([`Builder::build`]): samples of the author's voice,
//! of answers from
//! numbered passages, of the admission that passages do not hold an answer, and preferences.
//!
//! Promises: every answer is verbatim (a passage, its title, sentences with the markers of their passages, or
//! [`twin_llm::abstention`]), and each written line is checked against its document before the version is made; prompts
//! are those of serving ([`twin_llm`]); documents are split, never samples, a document stays in its split, and what is
//! asked in one split is asked in no other; no training passage shares more than a set share of its
//! 8-word sequences with a held-out one; keys, tokens and personal data are in no sample; what is left out is counted
//! by reason ([`twin_schemas::Refusal`]); the same documents and options give the same [`twin_schemas::DatasetId`] on any machine
//! (where a model was asked, which the manifest then says, in any data folder that has kept what it said:
//! [`twin_corpus::Replies`]); memory does not grow with the corpus but for a record of
//! each document and a number for each word that the author uses, of two million words at most.
//!
//! A passage goes this way: cut at the text's own borders ([`twin_text::blocks`], `passages`, `code`), asked for by the structure
//! around it (`instructions`), in the document's language and by words that are telling among all of the author's
//! (`weights`), judged by itself (`quality`), then against all others (`duplicates`, `split`, `select`, `proportion`),
//! written with its prompt (`compose`), read again (`verify`).
//!
//! Deliberately not here: which version is the newest and what was trained on it (`platform/registry`), training, and
//! any rewriting of what the author said. A version never changes: a document deleted later is found in it by
//! [`holds`] and marked in the registry, and is gone from the next version.

mod build;
mod candidate;
mod card;
mod code;
mod collector;
mod compose;
mod duplicates;
mod error;
mod families;
mod files;
mod freeze;
mod freezer;
mod histogram;
mod instructions;
mod manifest;
mod metrics;
mod options;
mod passages;
mod ports;
mod proportion;
mod quality;
mod quotation;
mod replies;
mod scratch;
mod select;
mod split;
mod styled;
mod topic;
mod verify;
mod weights;
mod words;
mod work;

pub use build::{Builder, Built, Parent, Report};
pub use candidate::{Candidate, Grounding, samples_of};
pub use collector::{Collector, put_document};
pub use error::Error;
pub use files::{DatasetReader, export};
pub use freeze::{FreezePolicy, FreezeReason, FreezeState, due};
pub use freezer::Freezer;
pub use manifest::{BUILD_VERSION, content_id, holds};
pub use metrics::Metrics;
pub use options::Options;
pub use ports::{Answers, Asked, Instructor, Opener, PortError, Respondents};
