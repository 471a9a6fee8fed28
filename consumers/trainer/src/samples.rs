//! Which files of a dataset version a recipe learns from.

use serde::{Deserialize, Serialize};
use twin_schemas::DatasetManifest;
use twin_training::{Method, Recipe};

use crate::Error;

/// The samples of a stage: artifacts whose contents, one after the other, are a JSONL file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageSamples {
    /// To train on.
    pub train: Vec<String>,
    /// To evaluate on, of the same form; may be empty.
    pub validation: Vec<String>,
}

/// The samples of each stage of a recipe, in the form that its method learns from: all of one version.
pub(crate) fn samples_for(recipe: &Recipe, manifest: &DatasetManifest) -> Result<Vec<StageSamples>, Error> {
    recipe.by_stage().iter().map(|recipe| samples_of(recipe.method, manifest)).collect()
}

fn samples_of(method: Method, manifest: &DatasetManifest) -> Result<StageSamples, Error> {
    let folder = match method {
        Method::Sft => "sft",
        Method::Dpo => "preference",
    };
    let split = |split: &str| manifest.parts(&format!("{folder}/{split}.jsonl")).to_vec();
    let files = StageSamples { train: split("train"), validation: split("validation") };
    if files.train.is_empty() {
        let short = manifest.dataset.short();
        return Err(Error::Refused(match method {
            Method::Sft => format!("the dataset {short} has no samples to train on"),
            Method::Dpo => format!(
                "the dataset {short} has no preferences to train on: set datasets.build.preferences and freeze again"
            ),
        }));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A version with these files, each of one artifact.
    fn version(files: &[&str]) -> DatasetManifest {
        let file = |name: &&str| json!({ "name": name, "parts": [format!("sha256:{name}")], "lines": 1, "bytes": 17 });
        let manifest = json!({
            "dataset": "d".repeat(64), "number": 1, "created_at": "2026-01-01T00:00:00Z", "author": "ada",
            "build_version": 3, "options": {}, "documents": [], "counts": {}, "refusals": {},
            "files": files.iter().map(file).collect::<Vec<_>>(),
        });
        serde_json::from_value(manifest).unwrap()
    }

    #[test]
    fn each_stage_has_the_samples_of_its_method_from_the_same_version() {
        let recipe = Recipe::parse("[[stages]]\nmethod = \"sft\"\n[[stages]]\nmethod = \"dpo\"\n").unwrap();
        let whole = ["sft/train.jsonl", "sft/validation.jsonl", "preference/train.jsonl"];
        let stages = samples_for(&recipe, &version(&whole)).unwrap();
        let named = |names: &[&str]| names.iter().map(|name| format!("sha256:{name}")).collect::<Vec<_>>();
        let samples = |train, validation| StageSamples { train: named(train), validation: named(validation) };
        let expected = [samples(&whole[..1], &whole[1..2]), samples(&whole[2..], &[])];
        assert_eq!(stages, expected);
        assert_eq!(samples_for(&Recipe::default(), &version(&whole)).unwrap(), expected[..1]);
        let refused = samples_for(&recipe, &version(&whole[..2])).unwrap_err().to_string();
        assert!(refused.contains("datasets.build.preferences"), "{refused}");
    }
}
