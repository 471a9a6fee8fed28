use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use twin_backend::Kind;

/// What can go wrong in training or scoring.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder can not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {problem}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The model is of a kind that this engine does not compute.
    #[error("the model can not be trained here: {0}")]
    Unsupported(String),
    /// A weight that the model's configuration calls for is not in its files.
    #[error("the model's files hold no tensor `{0}`")]
    MissingTensor(String),
    /// A weight of another shape than the model's configuration says.
    #[error("tensor `{name}` is of shape {found:?}, the model's configuration says {wanted:?}")]
    TensorShape {
        /// Its name.
        name: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape that it should have.
        wanted: Vec<usize>,
    },
    /// A setting of the recipe can not be.
    #[error(transparent)]
    Recipe(#[from] twin_training::Error),
    /// The chat template does not do what training needs of it.
    #[error("chat template: {0}")]
    Template(String),
    /// Text could not be tokenised.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// A line of a data file is no sample.
    #[error("{}, line {line}: {problem}", path.display())]
    Sample {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing is left to train on.
    #[error("no usable sample among {read} in {}: {too_long} longer than {limit} tokens (`pack_tokens`)", path.display())]
    NoSamples {
        /// The file.
        path: PathBuf,
        /// Samples in it.
        read: usize,
        /// Samples that do not fit into a pack.
        too_long: usize,
        /// Tokens that fit.
        limit: usize,
    },
    /// The folder holds the work of another task.
    #[error("{} holds checkpoints of another task (other model, data or recipe): choose an empty folder", .0.display())]
    OtherTask(PathBuf),
    /// The loss is no longer a number: the learning rate is too high or the weights are damaged.
    #[error("the loss is not a number any more at step {step}: lower `learning_rate`")]
    Diverged {
        /// Where.
        step: usize,
    },
    /// The observer asked to stop; a checkpoint holds all that was done.
    #[error("stopped after step {step}")]
    Stopped {
        /// The last step done.
        step: usize,
    },
    /// A text that the model has no positions for.
    #[error("a text of {tokens} tokens; the model takes {limit}")]
    TooLong {
        /// Its length.
        tokens: usize,
        /// The model's.
        limit: usize,
    },
    /// The threads could not be started.
    #[error("threads: {0}")]
    Threads(String),
    /// A computation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// The chart of the losses could not be drawn.
    #[error("loss chart: {0}")]
    Chart(String),
}

impl Error {
    /// Whether a file found no room.
    pub fn is_of_a_full_disk(&self) -> bool {
        matches!(self, Self::File { source, .. } if found_no_room(source))
    }

    /// Whether the same call may succeed later: a disk behind a network was away, or the system was short of something.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::File { source, .. } if may_pass(source))
    }

    /// Makes a closure that adds the path to an I/O error.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }

    pub(crate) fn malformed(path: &Path, problem: impl ToString) -> Self {
        Self::Malformed { path: path.to_owned(), problem: problem.to_string() }
    }
}

impl From<twin_llm::Error> for Error {
    /// What reading and rendering a chat template ends with.
    fn from(error: twin_llm::Error) -> Self {
        match error {
            twin_llm::Error::File { path, source } => Self::File { path, source },
            twin_llm::Error::Malformed { path, problem } => Self::Malformed { path, problem },
            twin_llm::Error::Template(problem) => Self::Template(problem),
            other => Self::Template(other.to_string()),
        }
    }
}

impl From<Error> for twin_backend::Error {
    fn from(error: Error) -> Self {
        let kind = match (error.is_of_a_full_disk(), error.is_transient()) {
            (true, _) => Kind::Disk,
            (false, true) => Kind::Transient,
            (false, false) => Kind::Permanent,
        };
        Self::new(kind, error)
    }
}

fn may_pass(error: &io::Error) -> bool {
    use ErrorKind::{
        Interrupted, NetworkDown, NetworkUnreachable, OutOfMemory, ResourceBusy, StaleNetworkFileHandle, TimedOut,
        WouldBlock,
    };
    matches!(
        error.kind(),
        Interrupted
            | NetworkDown
            | NetworkUnreachable
            | OutOfMemory
            | ResourceBusy
            | StaleNetworkFileHandle
            | TimedOut
            | WouldBlock
    )
}

/// Whether the disk or the quota is full, or the process may write no longer file.
fn found_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}
