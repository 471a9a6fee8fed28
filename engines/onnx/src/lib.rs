//! Small models that run inside the process: the tokenizer and the ONNX embedder.
//!
//! In: text. Out: token spans ([`Tokenizer`]) and unit vectors ([`Embedder`]). The model is a folder with
//! `model.onnx` (inputs `input_ids`, `attention_mask` and, where the model wants it, `token_type_ids`; output
//! `[batch, tokens, dimension]`) and `tokenizer.json`; ONNX Runtime is a shared library named by its path.
//!
//! Promises: the vector of a text does not depend on what else is in its batch; vectors have length 1 and no NaN;
//! a text longer than the window is cut to it; a waiting query goes before waiting passages; a model that changed
//! has another [`Embedder::model_id`]; a panic costs the request that met it, and its session is loaded anew. The work runs on the embedder's own threads, one session and one core each:
//! measured on CPU, this with small batches of like length gives the most tokens a second.
//!
//! Deliberately not here: downloads (`make models` puts the files in place), chunking (`processors/chunker`),
//! caches of vectors (`processors/embedder` keeps the vector of an unchanged chunk), and language models.

mod availability;
mod embedder;
mod error;
mod metrics;
mod options;
mod packing;
mod queue;
mod request;
mod runtime;
mod session;
mod tokenizer;
mod worker;

pub use embedder::Embedder;
pub use error::Error;
pub use options::{Device, EmbedderOptions, ModelSettings};
pub use runtime::OnnxRuntime;
pub use tokenizer::{TokenSpan, Tokenizer};
