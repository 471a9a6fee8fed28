/// What can go wrong when the chunker is made or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option that can not work.
    #[error("chunker option {key}: {problem}")]
    Option {
        /// The option's name.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A text can not be tokenised.
    #[error(transparent)]
    Tokenizer(#[from] twin_embedding::Error),
    /// A metric's name is taken.
    #[error("metrics: {0}")]
    Metrics(#[from] twin_telemetry::MetricError),
}
