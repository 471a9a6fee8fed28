//! The port of what runs models on this machine.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ChatModel, Error};

/// Brings models into memory.
#[async_trait]
pub trait Engine: Send + Sync {
    /// The model at `path` (a Hugging Face directory, or another form that the engine reads) under a name. Takes seconds
    /// to minutes.
    async fn open(&self, path: &Path, name: &str) -> Result<Arc<dyn ChatModel>, Error>;
}

/// Where a model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// A GPU where the binary was built for one.
    Auto,
    /// The processor.
    Cpu,
}
