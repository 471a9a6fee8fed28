//! Models that read text without writing any: what stages may ask of them, whatever engine runs them.
//!
//! In: texts. Out: unit vectors ([`Embedder`]) and positions of tokens ([`Tokenizer`]). Which model made a vector is
//! told by [`EmbeddingModelId`], which is made of the model's content: where its files are is a matter of the process that loads
//! it ([`EmbedderLoader`]).
//!
//! Promises that an engine keeps: the vector of a text does not depend on what else is embedded with it; vectors have
//! length 1 and no NaN; a text longer than the window is cut to it; a query that waits goes before
//! candidates that wait, and these before passages.
//!
//! A `Reranker` (a question and passages in, a score for each out) will stand beside these.
//!
//! Deliberately not here: any engine (`engines/onnx`), chunking (`processors/chunker`), and the index
//! (`platform/vectors`).

mod embedder;
mod error;
mod model;
mod tokenizer;

pub use embedder::{Embedder, EmbedderLoader, Purpose, Texts};
pub use error::Error;
pub use model::{EmbeddingModel, EmbeddingModelId, InvalidModelId};
pub use tokenizer::{TokenSpan, Tokenizer};
