use std::io::IsTerminal;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogOptions {
    /// Which events: `warn,twin=info` logs information of the system itself and warnings of the libraries.
    pub filter: String,
    /// `auto`: text on a terminal, JSON lines elsewhere; `text`; `json`.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON lines elsewhere.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { filter: "warn,twin=info".to_owned(), format: LogFormat::Auto }
    }
}

/// Starts logging to standard error. The filter's directive `twin` stands for every crate of the system.
pub fn init(options: &LogOptions) -> Result<(), String> {
    let filter = EnvFilter::try_new(&options.filter)
        .map_err(|error| format!("telemetry.filter {:?} is not a log filter: {error}", options.filter))?;
    let json = match options.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let result = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
    result.map_err(|error| error.to_string())
}
