//! What an evaluation is told, says and makes: by reference, for whatever machine it runs on. Where the artifact store and
//! the base model are is known to whoever works.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use twin_artifacts::FolderFile;
use twin_jobs::Kind;
use twin_registry::Against;
use twin_schemas::{Category, DatasetId, DocumentId, ModelId, Verdict};

use crate::end_to_end::Asked;
use crate::folds::FoldsOrder;
use crate::{Options, Unloadable};

/// Evaluations, as runners know them.
pub struct Evaluation;

impl Kind for Evaluation {
    type Order = EvaluationOrder;
    type Report = EvaluationReport;
    type Product = EvaluationProduct;
}

/// What is to be evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationOrder {
    /// The candidate.
    pub model: ModelId,
    /// The version whose test split is used.
    pub dataset: DatasetId,
    /// The artifacts whose contents, one after the other, are the test samples.
    pub test: Vec<String>,
    /// The candidate's files.
    pub candidate: Version,
    /// The files of the version in production; none is the base model, or a version that has none.
    pub production: Option<Version>,
    /// The version in production that has no files which could be loaded.
    #[serde(default)]
    pub unloadable: Option<Unloadable>,
    /// With what it is compared, as the registry is to note it. An order of an earlier version of the program does not say.
    #[serde(default)]
    pub compared: Option<Compared>,
    /// Of other authors of the twin: the artifacts whose contents, one after the other, are an author's test samples.
    #[serde(default)]
    pub others: Vec<Vec<String>>,
    /// Questions that serving has found passages for. An order of an earlier version of the program has none.
    #[serde(default)]
    pub asked: Option<Asked>,
    /// What the author's documents of the test split are, as far as that is known.
    #[serde(default)]
    pub categories: BTreeMap<DocumentId, Category>,
    /// The folds of a small author's candidate. An order of an earlier version of the program has none.
    #[serde(default)]
    pub folds: Option<FoldsOrder>,
    /// The fingerprint of the candidate's base model. Whoever works knows where a base model is.
    pub base: String,
    /// What is measured, and what the candidate must reach.
    pub options: Options,
}

/// With what a model is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// What answered for the author when the order was made.
    pub against: Against,
    /// How many evaluations were held against that, this one included.
    pub look: u32,
}

/// The files of a model version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Its name.
    pub name: String,
    /// A Hugging Face directory.
    pub files: Vec<FolderFile>,
}

/// How far an evaluation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluationReport {
    /// The model that answers; none while the judge is asked.
    pub role: Option<String>,
    /// Samples that it is through with.
    pub done: usize,
    /// Samples in all.
    pub total: usize,
}

/// What an evaluation has made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationProduct {
    /// The outcome.
    pub verdict: Verdict,
    /// The candidate may answer from passages where the twin would quote the author. A process of an earlier version of the
    /// program does not say.
    #[serde(default)]
    pub grounded: bool,
    /// The artifact that holds the report as JSON.
    pub report: String,
    /// The artifact that holds the report as a page.
    pub page: String,
    /// With what it was compared, as its order said.
    #[serde(default)]
    pub compared: Option<Compared>,
}
