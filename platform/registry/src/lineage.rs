//! From a model to what taught it, and from a document to what learned from it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tracing::warn;
use twin_artifacts::Artifacts;
use twin_backend::Page;
use twin_schemas::{DatasetManifest, DocumentId, ModelId, Revision, Split};

use crate::members::{KeptMember, placements_of};
use crate::model::{DatasetRow, JobRow, ModelRow};
use crate::rows::Kind;
use crate::{Error, Registry};

/// Everything that a model came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Lineage {
    /// The model.
    pub model: ModelRow,
    /// The job that made it, with its recipe, base model and code version.
    pub job: JobRow,
    /// What it was trained on.
    pub dataset: DatasetRow,
    /// The documents that taught it, by id: those of the dataset's train split. Of some of them no sample may be in any step:
    /// how many samples were not seen is in the job's plan. What its folds learned from besides is not among them.
    pub documents: Vec<TaughtDocument>,
    /// Whether the split is known. If not, `documents` are all of the dataset's, those that it was compared by too.
    pub split_known: bool,
}

/// A document that taught a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaughtDocument {
    /// The document.
    pub document_id: DocumentId,
    /// The revision that was taught.
    pub revision: Revision,
    /// When it was deleted, if it was since.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A position in the documents that taught a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaughtPosition {
    /// The document.
    pub document_id: DocumentId,
}

impl Lineage {
    /// Leaves out what did not teach, by the manifest of the dataset: for one whose rows do not say what its documents
    /// were for. A manifest that does not say it either changes nothing.
    pub fn told_by(&mut self, manifest: &DatasetManifest) {
        let placements = placements_of(manifest);
        if self.split_known || placements.is_empty() {
            return;
        }
        let taught = |id: &DocumentId| placements.get(id).is_some_and(|placement| placement.split == Split::Train);
        self.documents.retain(|document| taught(&document.document_id));
        self.split_known = true;
    }

    /// At most `limit` of the documents, by id.
    pub fn part(&self, after: Option<&TaughtPosition>, limit: usize) -> Page<TaughtDocument, TaughtPosition> {
        let is_after = |document: &&TaughtDocument| after.is_none_or(|after| document.document_id > after.document_id);
        let placed = |document: &TaughtDocument| {
            let position = TaughtPosition { document_id: document.document_id };
            (document.clone(), position)
        };
        let found = self.documents.iter().filter(is_after).take(limit.saturating_add(1)).map(placed);
        Page::of(found.collect(), limit)
    }
}

impl Registry {
    /// Which documents taught this model, and how.
    pub async fn lineage(&self, id: &ModelId) -> Result<Lineage, Error> {
        let model = self.require_model(id).await?;
        let job = self.job(&model.job.0).await?.ok_or_else(|| Error::missing("job", &model.job))?;
        let dataset = self.dataset(&model.dataset.0).await?;
        let dataset = dataset.ok_or_else(|| Error::missing("dataset", &model.dataset))?;
        let mut members = self.members(&model.dataset).await?;
        members.retain(|kept| kept.member.passages > 0);
        let split_known = members.iter().all(|kept| kept.member.placement.is_some());
        let documents = members.into_iter().filter_map(taught).collect();
        Ok(Lineage { model, job, dataset, documents, split_known })
    }

    /// Which models learned from this document, they or the adapters of their folds, oldest first. One whose dataset was
    /// registered by an earlier version of this program is among them whatever the document was for: that is not in the rows.
    pub async fn models_taught_by(&self, artifacts: &Artifacts, document: DocumentId) -> Result<Vec<ModelId>, Error> {
        let mut models = Vec::new();
        for (dataset, split) in self.store.datasets_with(document).await? {
            // By the validation split it was decided when to stop, and nothing was learned.
            if split == Some(Split::Validation) {
                continue;
            }
            let Some(row) = self.exactly(Kind::Dataset, &dataset.0).await? else { continue };
            let state = self.state(&row.author).await?;
            for model in state.models.iter().filter(|model| model.dataset == dataset) {
                if split != Some(Split::Test) || self.taught_a_fold(artifacts, &model.model, document).await? {
                    models.push(model.clone());
                }
            }
        }
        models.sort_by_key(|model| (model.created_at, model.number));
        Ok(models.into_iter().map(|model| model.model).collect())
    }
}

impl Registry {
    /// Whether an adapter of the model's folds learned from a document of the test split: those of all folds but the one that
    /// leaves it out did. Where the manifest can not be read it may have.
    async fn taught_a_fold(&self, artifacts: &Artifacts, model: &ModelId, document: DocumentId) -> Result<bool, Error> {
        match self.model_manifest(artifacts, model).await {
            Ok(manifest) => Ok(manifest.folds.iter().any(|fold| fold.left_out.contains(&document))),
            Err(error) if error.is_transient() => Err(error),
            Err(error) => {
                warn!(%model, %error, "the model counts as taught: its manifest does not say what its folds learned from");
                Ok(true)
            }
        }
    }
}

/// The document, unless it is known to be for something else than to teach.
fn taught(kept: KeptMember) -> Option<TaughtDocument> {
    let KeptMember { member, deleted_at } = kept;
    let taught = member.placement.is_none_or(|placement| placement.split == Split::Train);
    taught.then_some(TaughtDocument { document_id: member.document_id, revision: member.revision, deleted_at })
}
