//! Where a dataset version's files are, for those who train and evaluate.

use async_trait::async_trait;
use twin_artifacts::Artifacts;
use twin_datasets::{DatasetFile, Manifest, read_manifest};
use twin_evaluator::TestFiles;
use twin_lora::{Method, Recipe};
use twin_trainer::{DatasetFiles, SampleFiles};

/// Dataset versions in the artifact store.
#[derive(Clone)]
pub struct Files(pub Artifacts);

fn parts(manifest: &Manifest, name: &str) -> Vec<String> {
    manifest.file(name).map(|file: &DatasetFile| file.parts.clone()).unwrap_or_default()
}

#[async_trait]
impl DatasetFiles for Files {
    async fn of(&self, manifest: &str, recipe: &Recipe) -> Result<SampleFiles, twin_trainer::Error> {
        let manifest = read_manifest(&self.0, manifest).await.map_err(|error| match error {
            twin_datasets::Error::Artifacts(error) => twin_trainer::Error::Artifact(error),
            error => twin_trainer::Error::Refused(error.to_string()),
        })?;
        let folder = match recipe.method {
            Method::Sft => "sft",
            Method::Dpo => "preference",
        };
        let split = |split: &str| parts(&manifest, &format!("{folder}/{split}.jsonl"));
        let files = SampleFiles { train: split("train"), validation: split("validation") };
        if files.train.is_empty() {
            let short = manifest.dataset.short();
            return Err(twin_trainer::Error::Refused(match recipe.method {
                Method::Sft => format!("the dataset {short} has no samples to train on"),
                Method::Dpo => format!(
                    "the dataset {short} has no preferences to train on: set datasets.build.preferences and freeze again"
                ),
            }));
        }
        Ok(files)
    }
}

#[async_trait]
impl TestFiles for Files {
    async fn of(&self, manifest: &str) -> Result<Vec<String>, twin_evaluator::Error> {
        let manifest = read_manifest(&self.0, manifest).await.map_err(|error| match error {
            twin_datasets::Error::Artifacts(error) => twin_evaluator::Error::Artifact(error),
            error => twin_evaluator::Error::Refused(error.to_string()),
        })?;
        let test = parts(&manifest, "eval/test.jsonl");
        if test.is_empty() {
            let short = manifest.dataset.short();
            return Err(twin_evaluator::Error::Refused(format!(
                "the dataset {short} has no test samples: there are too few documents to set some aside"
            )));
        }
        Ok(test)
    }
}
