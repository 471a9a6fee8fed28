//! Which files of a dataset version a recipe learns from.

use twin_schemas::DatasetManifest;
use twin_training::{Method, Recipe};

use crate::Error;

/// The samples of a version: the artifacts that one JSONL file is made of, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SampleFiles {
    /// To train on.
    pub train: Vec<String>,
    /// To evaluate on; may be empty.
    pub validation: Vec<String>,
}

/// The samples in the form that the recipe's method learns from.
pub(crate) fn samples_for(recipe: &Recipe, manifest: &DatasetManifest) -> Result<SampleFiles, Error> {
    let folder = match recipe.method {
        Method::Sft => "sft",
        Method::Dpo => "preference",
    };
    let split = |split: &str| manifest.parts(&format!("{folder}/{split}.jsonl")).to_vec();
    let files = SampleFiles { train: split("train"), validation: split("validation") };
    if files.train.is_empty() {
        let short = manifest.dataset.short();
        return Err(Error::Refused(match recipe.method {
            Method::Sft => format!("the dataset {short} has no samples to train on"),
            Method::Dpo => format!(
                "the dataset {short} has no preferences to train on: set datasets.build.preferences and freeze again"
            ),
        }));
    }
    Ok(files)
}
