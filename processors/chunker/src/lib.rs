//! The chunker: cleaned documents into pieces that fit the embedder's window.
//!
//! In: `twin.documents.cleaned.v1`. Out: one `twin.documents.chunked.v1` event for each document revision, with
//! all its chunks, so that a document is replaced as a whole; a deletion is passed on as it is.
//!
//! A text is tokenised once and cut on the exact token positions. Where it is cut follows the text's own
//! structure, best place first: for prose heading, paragraph, line, sentence, space; for code item, member, blank
//! line, line. A section under a heading and an item of code keep to themselves unless they are tiny.
//!
//! Promises: the chunks' spans cover the text exactly, in order and without gap; each chunk, embedded alone, fits
//! the window; the same text gives the same chunks; an edit changes the chunks near it and leaves the others, so
//! they keep their vectors; the time grows linearly with the text, whatever it holds.
//!
//! Deliberately not here: overlap between chunks, the document's title
//! (whoever embeds or shows a chunk has it beside the text), and any judgement of content (the cleaner's work).

mod chunk;
mod code;
mod cut;
mod error;
mod handler;
mod markdown;
mod metrics;
mod options;
mod outline;
mod sections;
mod structure;
mod units;

pub use chunk::chunk;
pub use error::Error;
pub use handler::Chunker;
pub use options::Options;
