//! Converts a llama-architecture GGUF file into a Hugging Face model directory in F32.
//!
//! In: one `.gguf` file (any quantisation that candle reads) with a `smollm` byte-level BPE tokenizer.
//! Out: `model.safetensors`, `config.json`, `tokenizer.json`, `tokenizer_config.json` and
//! `generation_config.json`, the form that inference loads and that training needs.
//! Why F32: on a CPU the quantised path was measured slower at prefill and visibly worse in answers for a
//! 135M model, and LoRA training needs plain weights.
//!
//! Promised: the same input gives the same bytes; one tensor at a time is in memory (the largest is the
//! embedding); the target appears complete or not at all; nothing is guessed: an architecture, tokenizer or
//! tensor that is not known here is an error that names it.
//! Not done here: other architectures, F16 output, sharded files, download.
//!
//! Formats: GGUF <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>,
//! safetensors <https://github.com/huggingface/safetensors>.

mod fields;
mod header;
mod tokenizer;
mod weights;

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::Content;
use serde::Serialize;

use self::header::Header;

/// What a conversion made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The finished model directory.
    pub directory: PathBuf,
    /// Number of weights, a tied embedding counted once.
    pub parameters: u64,
    /// Number of tensors in `model.safetensors`.
    pub tensors: usize,
    /// Bytes of tensor data in `model.safetensors`.
    pub weight_bytes: u64,
}

/// Why a GGUF file was not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A file or directory could not be read, made or renamed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The target exists. A finished conversion is never overwritten.
    #[error("{path} exists already, remove it to convert again")]
    TargetExists {
        /// The target directory.
        path: PathBuf,
    },
    /// The file is not GGUF, is cut off, or uses a number format that is not known.
    #[error("{path} is not a readable GGUF file")]
    Gguf {
        /// The source file.
        path: PathBuf,
        /// The cause.
        source: candle_core::Error,
    },
    /// The model has another architecture than llama.
    #[error("architecture {found:?} is not supported, only \"llama\" is")]
    Architecture {
        /// `general.architecture` of the file.
        found: String,
    },
    /// The tokenizer is of a kind whose rules are not known here.
    #[error("tokenizer {found:?} is not supported, only \"gpt2\" with pre-tokenizer \"smollm\" is")]
    TokenizerKind {
        /// Model and pre-tokenizer name of the file.
        found: String,
    },
    /// A header field is missing.
    #[error("the GGUF header has no field {key}")]
    FieldMissing {
        /// The field's key.
        key: String,
    },
    /// A header field has another type or a value that makes no sense.
    #[error("the GGUF header field {key} is {problem}")]
    FieldInvalid {
        /// The field's key.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// A tensor that the architecture needs is not in the file.
    #[error("the file has no tensor {name}")]
    TensorMissing {
        /// The tensor's name in GGUF.
        name: String,
    },
    /// The file has a tensor that would be lost.
    #[error("tensor {name} is not part of the llama architecture that is known here")]
    TensorUnknown {
        /// The tensor's name in GGUF.
        name: String,
    },
    /// A tensor has a shape that contradicts the header.
    #[error("tensor {name} has shape {found:?} instead of {expected:?}")]
    TensorShape {
        /// The tensor's name in GGUF.
        name: String,
        /// Rows and columns in the file.
        found: Vec<usize>,
        /// Rows and columns by the header.
        expected: Vec<usize>,
    },
    /// A tensor could not be read or dequantised.
    #[error("cannot convert tensor {name}")]
    Tensor {
        /// The tensor's name in GGUF.
        name: String,
        /// The cause.
        source: candle_core::Error,
    },
    /// The tensors do not make a valid safetensors file.
    #[error("cannot lay out model.safetensors")]
    Layout(#[from] safetensors::SafeTensorError),
    /// The vocabulary and merges do not make a tokenizer.
    #[error("cannot build the tokenizer")]
    Tokenizer(#[source] tokenizers::Error),
    /// A JSON file could not be made.
    #[error("cannot write JSON")]
    Json(#[from] serde_json::Error),
}

/// Converts the GGUF file `source` into the new directory `target`.
///
/// `progress` is called with (bytes of tensor data written, bytes in all), once at the start and after each
/// tensor. The work happens in `<target>.partial`, which is renamed at the end; a partial directory of an
/// earlier, killed run is replaced. It takes seconds of CPU: never call it on a runtime thread.
///
/// # Errors
/// See [`ConvertError`]. After an error there is no `target`.
pub fn convert_gguf(
    source: &Path,
    target: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Converted, ConvertError> {
    if target.exists() {
        return Err(ConvertError::TargetExists { path: target.to_owned() });
    }
    let file = File::open(source).map_err(io_error("open", source))?;
    let mut reader = BufReader::new(file);
    let content =
        Content::read(&mut reader).map_err(|error| ConvertError::Gguf { path: source.to_owned(), source: error })?;
    let header = Header::read(&content)?;
    let tokenizer = tokenizer::Vocabulary::read(&content)?;
    if tokenizer.tokens.len() != header.vocabulary_size {
        return Err(ConvertError::FieldInvalid {
            key: tokenizer::TOKENS.to_owned(),
            problem: format!("{} tokens for {} embedding rows", tokenizer.tokens.len(), header.vocabulary_size),
        });
    }
    let plan = weights::plan(&header, &content)?;

    let partial = partial_path(target);
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(io_error("remove", &partial))?;
    }
    fs::create_dir_all(&partial).map_err(io_error("create", &partial))?;
    let weight_bytes = weights::write(&plan, &content, &mut reader, &partial.join("model.safetensors"), progress)?;
    tokenizer.build()?.save(partial.join("tokenizer.json"), false).map_err(ConvertError::Tokenizer)?;
    write_json(&partial.join("tokenizer_config.json"), &tokenizer.tokenizer_config(header.context_length))?;
    write_json(&partial.join("generation_config.json"), &tokenizer.generation_config())?;
    write_json(&partial.join("config.json"), &header.model_config(&tokenizer))?;
    fs::rename(&partial, target).map_err(io_error("rename to", target))?;

    Ok(Converted {
        directory: target.to_owned(),
        parameters: weight_bytes / size_of::<f32>() as u64,
        tensors: plan.len(),
        weight_bytes,
    })
}

/// `<target>.partial`, beside the target so that the rename stays on one file system.
fn partial_path(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ConvertError> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    fs::write(path, text).map_err(io_error("write", path))
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> ConvertError + 'a {
    move |source| ConvertError::Io { action, path: path.to_owned(), source }
}
