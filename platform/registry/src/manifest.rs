//! What a training job has made, as one artifact that names all others.

use serde::{Deserialize, Serialize};
use twin_artifacts::{Artifacts, FolderFile};
use twin_schemas::{AuthorId, DatasetId, JobId, ModelId};

use crate::{Error, Registry};

/// The manifest of a model, stored as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelManifest {
    /// Whose model.
    pub author: AuthorId,
    /// The job that made it.
    pub job: JobId,
    /// What it was trained on.
    pub dataset: DatasetId,
    /// Fingerprint of the base model.
    pub base: String,
    /// The recipe's canonical text.
    pub recipe: String,
    /// The version of the program.
    pub code_version: String,
    /// Optimizer steps done.
    pub steps: u64,
    /// Loss on the validation split at the end, nats per token.
    pub evaluation_loss: Option<f64>,
    /// Seconds that the last attempt took.
    pub seconds: f64,
    /// The merged model: a Hugging Face directory that any engine loads.
    pub merged: Vec<FolderFile>,
    /// The PEFT adapter.
    pub adapter: Vec<FolderFile>,
    /// The loss curve, as data and as a picture.
    pub curves: Vec<FolderFile>,
}

impl Registry {
    /// The manifest of a model.
    pub async fn model_manifest(&self, artifacts: &Artifacts, model: &ModelId) -> Result<ModelManifest, Error> {
        let row = self.model(model).await?.ok_or_else(|| Error::missing("model", model))?;
        let content = artifacts.get(&row.manifest).await?;
        serde_json::from_slice(&content)
            .map_err(|error| Error::Stored { what: "model manifest", problem: error.to_string() })
    }
}
