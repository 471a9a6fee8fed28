//! The embedding port on ONNX Runtime, and the tokenizer port on Hugging Face's tokenizer files.
//!
//! In: text. Out: token spans ([`HuggingFaceTokenizer`]) and unit vectors ([`OnnxEmbedder`]). The model is a folder with
//! `model.onnx` (inputs `input_ids`, `attention_mask` and, where the model wants it, `token_type_ids`; output
//! `[batch, tokens, dimension]`) and `tokenizer.json`; ONNX Runtime is a shared library named by its path.
//!
//! Promises, beside those of `platform/embedding`: a model that changed has another id, one that was moved or renamed has
//! the same and is found beside the configured one ([`OnnxLoader`]); a panic costs the request that met it, and its session
//! is loaded anew. The work runs on the embedder's own threads, one session and one core each: measured on CPU, this with
//! small batches of like length gives the most tokens a second.
//!
//! Deliberately not here: downloads (`make models` puts the files in place), chunking (`processors/chunker`), and
//! caches of vectors (`processors/embedder` keeps the vector of an unchanged chunk).

mod availability;
mod embedder;
mod error;
mod loader;
mod metrics;
mod options;
mod packing;
mod queue;
mod request;
mod runtime;
mod session;
mod tokenizer;
mod worker;

pub use embedder::OnnxEmbedder;
pub use error::Error;
pub use loader::OnnxLoader;
pub use options::{Device, EmbedderOptions};
pub use runtime::OnnxRuntime;
pub use tokenizer::HuggingFaceTokenizer;
