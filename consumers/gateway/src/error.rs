/// Why the gateway can not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value of the configuration.
    #[error("gateway.{field} {problem}")]
    Option {
        /// The key, below `gateway`.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A metric's name is taken.
    #[error("metrics: {0}")]
    Metrics(#[from] twin_telemetry::MetricError),
    /// The listening socket.
    #[error("http server: {0}")]
    Serve(#[from] std::io::Error),
}

impl Error {
    pub(crate) fn option(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Option { field, problem: problem.into() }
    }
}
