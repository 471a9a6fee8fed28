use twin_backend::Kind;
use twin_schemas::DocumentId;

use crate::subject::{SubjectError, SubjectRole};

/// What can go wrong with an evaluation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A line of the test samples can not be used.
    #[error("line {line} of the test samples can not be used: {problem}")]
    Sample {
        /// Its number, from 1.
        line: usize,
        /// Why.
        problem: String,
    },
    /// The test samples can not be read.
    #[error("the test samples can not be read: {0}")]
    Read(#[from] std::io::Error),
    /// There is nothing to evaluate on.
    #[error("there are no test samples: the dataset holds too few documents for a test split")]
    NoSamples,
    /// The options contradict themselves.
    #[error("evaluation option {option}: {problem}")]
    Options {
        /// Which.
        option: String,
        /// Why.
        problem: String,
    },
    /// A model can not be opened.
    #[error("the {role} can not be opened: {cause}")]
    Open {
        /// Which of the models.
        role: SubjectRole,
        /// Why.
        #[source]
        cause: SubjectError,
    },
    /// A model that an evaluation can not do without is not there.
    #[error("there is no {0} to evaluate")]
    Absent(SubjectRole),
    /// A model failed on a sample.
    #[error("the {role} {name} failed on {sample}: {cause}")]
    Subject {
        /// Which of the models.
        role: SubjectRole,
        /// Its name.
        name: String,
        /// Which sample, in words.
        sample: String,
        /// Why.
        #[source]
        cause: SubjectError,
    },
    /// A model reports a loss that is no number, or of no tokens.
    #[error("the {role} {name} reports a loss of {nll} nats over {tokens} tokens on {sample}")]
    Loss {
        /// Which of the models.
        role: SubjectRole,
        /// Its name.
        name: String,
        /// Which sample, in words.
        sample: String,
        /// What it reported.
        nll: f64,
        /// Over how many tokens.
        tokens: u64,
    },
    /// A sample of a document that everybody has seen who could measure it.
    #[error(
        "nobody is left who could answer for the {role} about the document {document} without having learned from it"
    )]
    Seen {
        /// Which of the models.
        role: SubjectRole,
        /// The document.
        document: DocumentId,
    },
    /// The caller wished to stop.
    #[error("the evaluation was cancelled")]
    Cancelled,
    /// The page can not be made.
    #[error("the report's page can not be made: {0}")]
    Page(#[from] minijinja::Error),
    /// The thread that computes the metrics ended before it was done.
    #[error("the metrics could not be computed: {0}")]
    Compute(#[from] tokio::task::JoinError),
    /// The registry, or a manifest that it names.
    #[error(transparent)]
    Registry(#[from] twin_registry::Error),
    /// Test samples or a report in the artifact store.
    #[error(transparent)]
    Artifact(#[from] twin_artifacts::Error),
    /// The job's folder.
    #[error(transparent)]
    Job(#[from] twin_jobs::Error),
    /// The report can not be written as JSON.
    #[error("the report can not be written: {0}")]
    Json(#[from] serde_json::Error),
    /// This process stops. Whoever comes after it begins anew.
    #[error("the process stops")]
    Stopping,
    /// What was asked for can not be done; says why.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Stopping => true,
            Self::Job(error) => error.is_transient(),
            Self::Registry(error) => error.is_transient(),
            error => error.artifact().is_some_and(twin_artifacts::Error::is_transient),
        }
    }

    /// Whether the disk did not take a write: it is full, or failing.
    pub fn is_of_the_disk(&self) -> bool {
        self.artifact().is_some_and(twin_artifacts::Error::is_of_the_disk)
    }

    /// The failure of the artifact store behind it, if that is what it was. A model's files are fetched when it is
    /// opened.
    fn artifact(&self) -> Option<&twin_artifacts::Error> {
        match self {
            Self::Artifact(error) => Some(error),
            Self::Open { cause, .. } | Self::Subject { cause, .. } => cause.downcast_ref(),
            _ => None,
        }
    }
}

impl From<Error> for twin_backend::Error {
    fn from(error: Error) -> Self {
        let kind = match (error.is_transient(), error.is_of_the_disk()) {
            (true, true) => Kind::Disk,
            (true, false) => Kind::Transient,
            (false, _) => Kind::Permanent,
        };
        Self::new(kind, error)
    }
}
