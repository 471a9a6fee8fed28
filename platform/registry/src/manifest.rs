//! What a dataset version and a model are made of, each as one artifact that names all others.

use serde::{Deserialize, Serialize};
use twin_artifacts::{Artifacts, FolderFile};
use twin_schemas::{AuthorId, DatasetId, DatasetManifest, JobId, ModelId};
use twin_training::Plan;

use crate::{Error, FoldAdapter, Registry};

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
    /// Loss on the validation split at the end: nats per token, or of a recipe that ends with preferences nats per pair, by the
    /// loss of preferences.
    pub evaluation_loss: Option<f64>,
    /// Seconds that the last attempt took.
    pub seconds: f64,
    /// What was planned before the first step: the recipe with nothing left open, and the samples by kind with those left
    /// out. Not known of a model of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// The merged model: a Hugging Face directory that any engine loads. None where the adapter alone was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Vec<FolderFile>>,
    /// The PEFT adapter.
    pub adapter: Vec<FolderFile>,
    /// The loss curve, as data and as a picture.
    pub curves: Vec<FolderFile>,
    /// Of a small author's model: the adapters by which its evaluation measures documents that they have not seen. They answer
    /// nobody, and are in no export.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<FoldAdapter>,
}

/// The name of the manifest among a model's files.
const MANIFEST: &str = "manifest.json";

impl ModelManifest {
    /// The files that it names, by their paths in the folder that a job leaves: `adapter/…`, `merged/…`, and the curves
    /// beside them. Without those of its folds.
    pub fn files(&self) -> Vec<FolderFile> {
        let within = |folder: &'static str| {
            move |file: &FolderFile| FolderFile { path: format!("{folder}/{}", file.path), ..file.clone() }
        };
        let adapter = self.adapter.iter().map(within("adapter"));
        adapter.chain(self.merged.iter().flatten().map(within("merged"))).chain(self.curves.iter().cloned()).collect()
    }

    /// The merged model's files. Refused for a model of which the adapter alone was kept.
    pub fn require_merged(&self, model: &ModelId) -> Result<&[FolderFile], Error> {
        let missing =
            || format!("of {model} the adapter alone was kept: it has to be merged into its base model first");
        self.merged.as_deref().ok_or_else(|| Error::Refused(missing()))
    }
}

/// The manifest of a dataset version that an artifact holds.
pub async fn read_dataset_manifest(artifacts: &Artifacts, name: &str) -> Result<DatasetManifest, Error> {
    let content = artifacts.get(name).await?;
    serde_json::from_slice(&content)
        .map_err(|error| Error::Stored { what: "dataset manifest", problem: error.to_string() })
}

impl Registry {
    /// The manifest of a model.
    pub async fn model_manifest(&self, artifacts: &Artifacts, model: &ModelId) -> Result<ModelManifest, Error> {
        Ok(self.read_manifest(artifacts, model).await?.0)
    }

    /// All files of a model, its manifest too.
    pub async fn model_files(&self, artifacts: &Artifacts, model: &ModelId) -> Result<Vec<FolderFile>, Error> {
        let (manifest, itself) = self.read_manifest(artifacts, model).await?;
        let mut files = manifest.files();
        files.push(itself);
        Ok(files)
    }

    /// The manifest, and as which file it is stored.
    async fn read_manifest(
        &self,
        artifacts: &Artifacts,
        model: &ModelId,
    ) -> Result<(ModelManifest, FolderFile), Error> {
        let row = self.require_model(model).await?;
        let content = artifacts.get(&row.manifest).await?;
        let manifest = serde_json::from_slice(&content)
            .map_err(|error| Error::Stored { what: "model manifest", problem: error.to_string() })?;
        let (path, bytes) = (MANIFEST.to_owned(), content.len() as u64);
        Ok((manifest, FolderFile { path, artifact: row.manifest, bytes }))
    }
}
