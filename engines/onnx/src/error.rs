use std::path::PathBuf;

use twin_embedding::EmbeddingModelId;

/// What can go wrong with a model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the model or the runtime library is not there or can not be read.
    #[error("{} can not be read ({cause}): run `make models`, or set the path in the configuration", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The runtime library is not one, or is too old.
    #[error("ONNX Runtime at {} can not be used: {problem}; run `make models`", path.display())]
    Runtime {
        /// The library.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A process can hold one ONNX Runtime.
    #[error("ONNX Runtime is loaded from {}; {} can not be loaded beside it", loaded.display(), asked.display())]
    SecondRuntime {
        /// The library in use.
        loaded: PathBuf,
        /// The other library.
        asked: PathBuf,
    },
    /// The tokenizer's file can not be understood.
    #[error("tokenizer {}: {problem}", path.display())]
    TokenizerFile {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A text can not be tokenised.
    #[error("tokenising: {0}")]
    Tokenise(String),
    /// The model is not an embedding model as this crate knows them.
    #[error("model {}: {problem}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The model of an index is in none of the folders that were searched for it.
    #[error("the embedding model {model} is in none of {}", list(folders))]
    NotFound {
        /// The model that was looked for.
        model: EmbeddingModelId,
        /// Where.
        folders: Vec<PathBuf>,
    },
    /// What an index keeps of its model does not fit the model.
    #[error("the embedding model {model} of the index: {problem}")]
    Settings {
        /// The model.
        model: EmbeddingModelId,
        /// What is wrong.
        problem: String,
    },
    /// An option that can not work.
    #[error("embedder option {key}: {problem}")]
    Option {
        /// The option's name.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// ONNX Runtime refused or failed.
    #[error("ONNX Runtime: {0}")]
    Onnx(#[from] ort::Error),
    /// The model gave NaN or infinite numbers.
    #[error("the vector of text {index} of the request is not finite")]
    NotFinite {
        /// Position in the request.
        index: usize,
    },
    /// The model panicked on the request.
    #[error("the embedding model panicked; the log says where")]
    Panicked,
    /// The embedder has been shut down.
    #[error("the embedder is closed")]
    Closed,
    /// A metric's name is taken.
    #[error("metrics: {0}")]
    Metrics(#[from] twin_telemetry::MetricError),
}

impl From<Error> for twin_embedding::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Closed => Self::Closed,
            Error::Tokenise(_) | Error::NotFinite { .. } | Error::Panicked => Self::Text(Box::new(error)),
            // A device that was out of memory may have some later.
            Error::Onnx(_) => Self::Engine(twin_backend::Error::transient(error)),
            Error::File { .. }
            | Error::Runtime { .. }
            | Error::SecondRuntime { .. }
            | Error::TokenizerFile { .. }
            | Error::Model { .. }
            | Error::Option { .. }
            | Error::NotFound { .. }
            | Error::Settings { .. }
            | Error::Metrics(_) => Self::Engine(twin_backend::Error::permanent(error)),
        }
    }
}

fn list(folders: &[PathBuf]) -> String {
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
}
