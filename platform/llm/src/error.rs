use std::path::PathBuf;

/// What can go wrong with a chat model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model can not be loaded.
    #[error("the model at {location} can not be loaded: {problem}")]
    Load {
        /// Where.
        location: String,
        /// Why, and what to do.
        problem: String,
    },
    /// The endpoint can not be reached, or broke off.
    #[error("the endpoint {endpoint} failed: {problem}")]
    Endpoint {
        /// Its URL.
        endpoint: String,
        /// Why.
        problem: String,
    },
    /// The model refuses this request: it is too long, or malformed.
    #[error("the model refuses the request: {0}")]
    Refused(String),
    /// The chat template does not do what is needed of it.
    #[error("chat template: {0}")]
    Template(String),
    /// A file of the model can not be read.
    #[error("{} can not be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the model is not what its name says.
    #[error("{} is malformed: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Generation failed.
    #[error("generation failed: {0}")]
    Generation(String),
}
